package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// mount is a line of fstab.
type mount struct{ device, kind, options string }

// mounts compares two fstabs, where their texts are known.
func (f *forecast) mounts(old, new plans.EtcEntry) {
	if old.Text == nil || new.Text == nil {
		return
	}
	before, swapsBefore := parseFstab(*old.Text)
	after, swapsAfter := parseFstab(*new.Text)
	for _, point := range keysOfBoth(before, after) {
		a, inOld := before[point]
		b, inNew := after[point]
		unit := unitOfPath(point, "mount")
		essential := point == "/" || point == "/nix"
		switch {
		case !inOld && hasOption(b, "noauto"):
			f.put(unit, plans.EffectNothing, plans.Will, "new in fstab, not mounted by itself")
		case !inOld:
			f.put(unit, plans.EffectStart, plans.Will, "new in fstab")
		case !inNew:
			if hasOption(a, "x-systemd.automount") {
				f.put(unitOfPath(point, "automount"), plans.EffectStop, plans.IfRunning, "gone from fstab")
			}
			f.put(unit, plans.EffectStop, f.live.certainty(unit), "gone from fstab")
		case a == b:
		case essential && a.options == b.options:
			f.put(unit, plans.EffectSkip, plans.Will, fmt.Sprintf("%s is mounted anew at the next boot", point))
		case essential:
			f.put(unit, plans.EffectReload, f.live.certainty(unit), "mount options changed")
		case a.kind != b.kind || a.device != b.device:
			f.put(unit, plans.EffectRestart, f.live.certainty(unit), "device or type changed")
		default:
			f.put(unit, plans.EffectReload, f.live.certainty(unit), "mount options changed")
		}
	}
	for _, device := range keysOfBoth(swapsBefore, swapsAfter) {
		unit := unitOfPath(device, "swap")
		switch {
		case !swapsAfter[device]:
			f.put(unit, plans.EffectStop, f.live.certainty(unit), "gone from fstab")
		case !swapsBefore[device]:
			f.put(unit, plans.EffectStart, plans.Will, "new in fstab")
		}
	}
}

func hasOption(m mount, option string) bool {
	return slices.Contains(strings.Split(m.options, ","), option)
}

func parseFstab(text string) (mounts map[string]mount, swaps map[string]bool) {
	mounts, swaps = map[string]mount{}, map[string]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.Fields(line)
		if len(words) < 4 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if words[2] == "swap" {
			swaps[words[0]] = true
			continue
		}
		mounts[words[1]] = mount{device: words[0], kind: words[2], options: words[3]}
	}
	return mounts, swaps
}

// unitOfPath gives the name that systemd makes of a path (systemd-escape --path).
func unitOfPath(path, kind string) string {
	trimmed := strings.Trim(path, "/")
	if trimmed == "" {
		return "-." + kind
	}
	var b strings.Builder
	for i := range len(trimmed) {
		c := trimmed[i]
		switch {
		case c == '/':
			if trimmed[i-1] != '/' {
				b.WriteByte('-')
			}
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ':', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String() + "." + kind
}
