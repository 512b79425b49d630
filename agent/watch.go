package agent

// Moving returns a check for a watchdog: does the corridor move? It reports
// false where messages were under way at the last call and none of them has
// been answered since. Nothing under way is fine, and so are messages that wait
// for space or for a key: they are held back, on purpose, before the corridor.
//
// The check also passes through the locks of the agent and the spool: where one
// is stuck it does not return, which a watchdog takes for the same answer.
func (a *Agent) Moving() func() bool {
	var queued, finished uint64
	return func() bool {
		_ = a.Stats()
		if a.sealed != nil {
			return true // there is no corridor
		}
		s := a.corridor.Stats()
		stuck := queued > finished && s.Finished == finished
		queued, finished = s.Queued, s.Finished
		return !stuck
	}
}
