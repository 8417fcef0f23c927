package hetzner

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

const (
	prefix            = "flotilla/"
	labelFleet        = prefix + "fleet"
	labelImage        = prefix + "image"
	labelKeys         = prefix + "ssh-keys"
	labelUserData     = prefix + "user-data"
	labelHostKey      = prefix + "host-key"
	labelNextHostKey  = prefix + "host-key-next"
	labelSystem       = prefix + "system"
	labelCommit       = prefix + "commit"
	labelHeld         = prefix + "held"
	labelHeldSince    = prefix + "held-since"
	labelHeldBy       = prefix + "held-by"
	labelFailed       = prefix + "failed-system"
	labelFailedCommit = prefix + "failed-commit"
	labelFailedAt     = prefix + "failed-at"
	labelFailedWhy    = prefix + "failed-why"
	labelOff          = prefix + "off"
	labelShutdown     = prefix + "shutdown"
	labelSnapshot     = prefix + "snapshot"
	labelServer       = prefix + "server"
	labelLock         = prefix + "lock"
	labelLockHolder   = prefix + "lock-holder"
	labelLockRun      = prefix + "lock-run"
	labelLockJob      = prefix + "lock-job"
	labelLockURL      = prefix + "lock-url-" // and a number: it is longer than a label
	labelLockExpires  = prefix + "lock-expires"

	maxLabel   = 63
	hashMarker = "sha256_." // no escape sequence: a dot is no hexadecimal digit
	headMarker = "0_."      // before a value that would not start with a letter or digit

	// labelTime is how a label writes a time: no colon is allowed in one.
	labelTime = "20060102T150405Z"
)

// encodeLabel makes a legal label value of any text: what a label cannot hold
// becomes _ and two hexadecimal digits. A text too long for that becomes a hash.
func encodeLabel(text string) string {
	var b strings.Builder
	if text != "" && !alphanumeric(text[0]) {
		b.WriteString(headMarker)
	}
	for i := range len(text) {
		c := text[i]
		inside := i < len(text)-1 && (c == '-' || c == '.')
		if alphanumeric(c) || inside {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	if b.Len() <= maxLabel {
		return b.String()
	}
	return hashMarker + hash(text)
}

// clipLabel is encodeLabel for texts of which the beginning says enough.
func clipLabel(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	runes := []rune(text)
	runes = runes[:min(len(runes), maxLabel)]
	for len(runes) > 0 {
		if value := encodeLabel(strings.TrimRight(string(runes), " ")); !strings.HasPrefix(value, hashMarker) {
			return value
		}
		runes = runes[:len(runes)-1]
	}
	return ""
}

// timeLabel and labelledTime write and read a time; zero is no label, and what
// cannot be read is zero.
func timeLabel(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(labelTime)
}

func labelledTime(value string) time.Time {
	t, err := time.Parse(labelTime, value)
	if err != nil {
		return time.Time{}
	}
	return t
}

// decodeLabel is encodeLabel backwards. A hash stays what it is.
func decodeLabel(value string) string {
	if strings.HasPrefix(value, hashMarker) {
		return value
	}
	value = strings.TrimPrefix(value, headMarker)
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] == '_' && i+2 < len(value) {
			if c, err := strconv.ParseUint(value[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(value[i])
	}
	return b.String()
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (c *Client) owns(labels map[string]string) bool { return labels[labelFleet] == c.fleet }

// owned gives the user's labels with the ownership label.
func (c *Client) owned(user map[string]string) map[string]string {
	labels := userLabels(user)
	labels[labelFleet] = c.fleet
	return labels
}

// userLabels leaves out Flotilla's own.
func userLabels(labels map[string]string) map[string]string {
	user := map[string]string{}
	for k, v := range labels {
		if !strings.HasPrefix(k, prefix) {
			user[k] = v
		}
	}
	return user
}

// relabel gives what a resource's labels become: want, Flotilla's own, and
// those with a foreign prefix, which other tools put there.
func relabel(have, want map[string]string) map[string]string {
	labels := userLabels(want)
	for k, v := range have {
		_, wanted := labels[k]
		if strings.Contains(k, "/") && !wanted {
			labels[k] = v
		}
	}
	return labels
}

// published reads what the last deploy wrote.
func published(labels map[string]string) fleet.Published {
	return fleet.Published{
		HostKey:     labels[labelHostKey],
		NextHostKey: labels[labelNextHostKey],
		SystemHash:  labels[labelSystem],
		Commit:      labels[labelCommit],
		Held:        labels[labelHeld] == "true",
		HeldSince:   labelledTime(labels[labelHeldSince]),
		HeldBy:      decodeLabel(labels[labelHeldBy]),

		FailedSystem: labels[labelFailed],
		FailedCommit: labels[labelFailedCommit],
		FailedAt:     labelledTime(labels[labelFailedAt]),
		FailedWhy:    decodeLabel(labels[labelFailedWhy]),
	}
}

// publish gives labels with p in them; all others stay.
func publish(labels map[string]string, p fleet.Published) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	held := ""
	if p.Held {
		held = "true"
	}
	put(labels, labelHostKey, p.HostKey)
	put(labels, labelNextHostKey, p.NextHostKey)
	put(labels, labelSystem, p.SystemHash)
	put(labels, labelCommit, p.Commit)
	put(labels, labelHeld, held)
	put(labels, labelHeldSince, timeLabel(p.HeldSince))
	put(labels, labelHeldBy, clipLabel(p.HeldBy))
	put(labels, labelFailed, p.FailedSystem)
	put(labels, labelFailedCommit, p.FailedCommit)
	put(labels, labelFailedAt, timeLabel(p.FailedAt))
	put(labels, labelFailedWhy, clipLabel(p.FailedWhy))
	return labels
}

// put sets a label, or takes it off where there is nothing to say.
func put(labels map[string]string, key, value string) {
	if value == "" {
		delete(labels, key)
	} else {
		labels[key] = value
	}
}
