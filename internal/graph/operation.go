package graph

// operation is a call by the name it has in metrics and errors: a closed set.
type operation string

const (
	opEvent                   operation = "get_event"
	opFindEvent               operation = "find_event"
	opInstances               operation = "list_instances"
	opBatch                   operation = "batch"
	opBatchItem               operation = "batch_item"
	opUser                    operation = "get_user"
	opToken                   operation = "token"
	opCreateSubscription      operation = "create_subscription"
	opRenewSubscription       operation = "renew_subscription"
	opReauthorizeSubscription operation = "reauthorize_subscription"
	opDeleteSubscription      operation = "delete_subscription"
	opListSubscriptions       operation = "list_subscriptions"
	opCreateEvent             operation = "create_event"
	opUpdateEvent             operation = "update_event"
	opCancelEvent             operation = "cancel_event"
	opDeleteEvent             operation = "delete_event"
	opSchedule                operation = "get_schedule"
	opMailboxSettings         operation = "get_mailbox_settings"
	opListUsers               operation = "list_users"
	opSignIn                  operation = "sign_in"
)

func operations() []operation {
	return []operation{
		opEvent, opFindEvent, opInstances, opBatch, opBatchItem, opUser, opToken, opCreateSubscription,
		opRenewSubscription, opReauthorizeSubscription, opDeleteSubscription, opListSubscriptions,
		opCreateEvent, opUpdateEvent, opCancelEvent, opDeleteEvent, opSchedule, opMailboxSettings, opListUsers, opSignIn,
	}
}

// aboutSubscriptions says whether the answer comes from the subscription service and not from Outlook or the directory.
func (op operation) aboutSubscriptions() bool {
	return op == opCreateSubscription || op == opListSubscriptions || op.namesSubscription()
}

// namesSubscription says whether the address names one subscription, so that "not found" is about it.
func (op operation) namesSubscription() bool {
	return op == opRenewSubscription || op == opReauthorizeSubscription || op == opDeleteSubscription
}
