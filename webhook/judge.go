package webhook

import (
	"bytes"
	"strings"
	"time"

	"pairsync/model"
)

const (
	// maxID bounds ids in bytes; Outlook's are around 150, and a few hundred in deep folders.
	maxID = 1024
	// maxWord bounds words of Graph's evolvable enums, in bytes.
	maxWord = 64
)

// judge makes a hint of an item, or tells why there is none: resultBadClientState when it is not proved to be ours, and
// resultMalformed when it is ours, or nobody's, and can't be used.
func judge(prover Prover, it *item, receivedAt time.Time) (model.Hint, result) {
	if it.notObject {
		return model.Hint{}, resultMalformed
	}
	tenant, mailbox, ok := prover.Verify(string(it.clientState))
	if !ok || (len(it.tenantID) > 0 && !sameID(it.tenantID, tenant)) {
		return model.Hint{}, resultBadClientState
	}
	h := model.Hint{
		Tenant: tenant, Mailbox: mailbox,
		SubscriptionID: string(it.subscriptionID),
		ReceivedAt:     receivedAt,
	}
	if len(it.subscriptionID) > maxID {
		return model.Hint{}, resultMalformed
	}
	if len(it.lifecycleEvent) > 0 {
		// Without the subscription's id nobody could act on it.
		if len(it.lifecycleEvent) > maxWord || len(it.subscriptionID) == 0 {
			return model.Hint{}, resultMalformed
		}
		h.Lifecycle = model.LifecycleEvent(it.lifecycleEvent)
		return h, resultAccepted
	}
	return judgeChange(h, it)
}

func judgeChange(h model.Hint, it *item) (model.Hint, result) {
	user, event, ok := cutResource(it.resource)
	switch {
	case !ok:
		return model.Hint{}, resultMalformed
	case !sameUser(user, h.Mailbox, h.Tenant):
		return model.Hint{}, resultBadClientState
	}
	if len(it.eventID) > 0 {
		// The two ids should be the same; where they aren't, resourceData's is the one that Microsoft's page explains.
		event = it.eventID
	}
	if len(it.changeType) == 0 || len(it.changeType) > maxWord || len(event) > maxID || len(it.etag) > maxID {
		return model.Hint{}, resultMalformed
	}
	h.ChangeType = changeType(it.changeType)
	h.EventID = string(event)
	h.ChangeKey = string(changeKey(it.etag))
	return h, resultAccepted
}

// changeType spares the copy of the words that are common. Unknown ones are carried along.
func changeType(word []byte) model.ChangeType {
	switch model.ChangeType(word) {
	case model.ChangeCreated:
		return model.ChangeCreated
	case model.ChangeUpdated:
		return model.ChangeUpdated
	case model.ChangeDeleted:
		return model.ChangeDeleted
	}
	return model.ChangeType(word)
}

// changeKey takes the key out of W/"<key>".
func changeKey(etag []byte) []byte {
	etag = bytes.TrimPrefix(etag, []byte("W/"))
	if len(etag) >= 2 && etag[0] == '"' && etag[len(etag)-1] == '"' {
		etag = etag[1 : len(etag)-1]
	}
	return etag
}

// cutResource takes the user and the event out of Users/{user}/Events/{event} or Users('{user}')/Events('{event}'), the
// collections in any case. ok is false for every other resource.
func cutResource(resource []byte) (user, event []byte, ok bool) {
	resource = bytes.TrimPrefix(resource, []byte("/"))
	user, rest, ok := cutMember(resource, "users")
	if !ok || len(rest) == 0 || rest[0] != '/' {
		return nil, nil, false
	}
	event, rest, ok = cutMember(rest[1:], "events")
	return user, event, ok && len(rest) == 0
}

// cutMember takes the id out of collection/{id} or collection('{id}') at the beginning of path.
func cutMember(path []byte, collection string) (id, rest []byte, ok bool) {
	n := len(collection)
	if len(path) <= n || !bytes.EqualFold(path[:n], []byte(collection)) {
		return nil, nil, false
	}
	switch path = path[n:]; path[0] {
	case '/':
		path = path[1:]
		end := bytes.IndexByte(path, '/')
		if end < 0 {
			end = len(path)
		}
		id, rest = path[:end], path[end:]
	case '(':
		end := bytes.Index(path, []byte("')"))
		if end < 0 || !bytes.HasPrefix(path, []byte("('")) {
			return nil, nil, false
		}
		id, rest = path[min(2, end):end], path[end+2:]
	}
	return id, rest, len(id) > 0
}

// sameID compares ids of tenants and users, which are GUIDs: their case says nothing.
func sameID(got []byte, want string) bool { return strings.EqualFold(string(got), want) }

// sameUser also knows the older form, {user}@{tenant}.
func sameUser(got []byte, mailbox, tenant string) bool {
	if sameID(got, mailbox) {
		return true
	}
	at := len(got) - len(tenant) - 1
	return at > 0 && got[at] == '@' && sameID(got[:at], mailbox) && sameID(got[at+1:], tenant)
}
