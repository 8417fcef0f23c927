package render

import "fmt"

// UnlockedMarkdown says what became of a fleet's lock. broken: it was held, by
// holder, and is not any more.
func UnlockedMarkdown(fleet, holder string, broken bool) string {
	if !broken {
		return fmt.Sprintf("The fleet %s is not locked.", code(fleet))
	}
	return fmt.Sprintf("Broke the lock of the fleet %s, held by %s.", code(fleet), prose(oneLine(holder)))
}
