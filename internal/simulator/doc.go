// Package simulator is an Outlook that speaks Microsoft Graph and Entra over HTTP, and that can be told to misbehave.
//
// It keeps one copy of a meeting per mailbox, as Exchange does: what a person does to their copy leaves on the other copies
// just what it leaves there in Outlook. It issues and checks signed tokens, holds subscriptions with their handshakes,
// ceilings and expiry, and delivers notifications by Graph's own retry rules, which can be scaled down for tests. Faults,
// stale reads, throttling, lost answers, dropped, doubled, late and reordered notifications come on demand, through the Go
// API or through the JSON API below /simulator. At / there is a page on which one acts as a person in Outlook.
//
// It promises that its answers have the published shapes, because its tests hold them against the published payloads. It
// shares no type with the Graph client of this module and imports nothing of it: a wrong property name in one would
// otherwise hide in the other. It never talks to Microsoft.
package simulator
