// Package webhook is the public door: the only part of pairsync that Microsoft Graph, and with it the whole internet, can reach.
//
// It answers Graph's handshake, reads change and lifecycle notifications, proves each item by its clientState without any
// look-up, hands the proven ones to a Publisher and answers 202 when, and only when, every one of them is durable. Otherwise it
// answers 503 in time for Graph to send the POST again. Nobody's item can fail another one's: what is forged or unusable is
// dropped and counted.
//
// It never talks to Graph or PostgreSQL, never tells a stranger why a request was refused, and what it holds in memory is bounded
// whatever is sent to it.
//
// https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
package webhook
