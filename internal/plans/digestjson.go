package plans

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// digestVersion is the version of the compact form.
const digestVersion = 1

// maxThings bounds what a short text may unfold to.
const maxThings = 1 << 20

// compact is the form of digests in the hidden header of a comment. What many
// hosts share is written once: a group holds what is the same of some subjects.
type compact struct {
	Version  int      `json:"v"`
	Subjects []string `json:"s"` // each subject and action: "update host/web-1"
	Groups   []group  `json:"g"`
}

type group struct {
	On    string   `json:"on"` // indexes of subjects: "0-59,61"
	Risks []Risk   `json:"r,omitempty"`
	What  []string `json:"w,omitempty"`
}

// PackDigests gives the compact JSON form: small where many hosts change alike.
// What does not fit into limit bytes (before they are compressed) is left out,
// subjects without a risk first: a deploy then stops at what was left out.
func PackDigests(list []Digest, limit int) json.RawMessage {
	list = normal(list)
	slices.SortStableFunc(list, func(a, b Digest) int { return min(len(b.Risks), 1) - min(len(a.Risks), 1) })
	for {
		packed := packAll(normal(list))
		if len(packed) <= limit || len(list) == 0 {
			return packed
		}
		list = list[:len(list)*9/10]
	}
}

func packAll(list []Digest) json.RawMessage {
	c := compact{Version: digestVersion, Subjects: []string{}}
	holders := map[string][]int{} // "r…" or "w…" → subjects
	for i, d := range list {
		c.Subjects = append(c.Subjects, string(d.Action)+" "+d.Subject)
		for _, r := range d.Risks {
			holders["r"+string(r)] = append(holders["r"+string(r)], i)
		}
		for _, w := range d.What {
			holders["w"+w] = append(holders["w"+w], i)
		}
	}
	byHolders := map[string]*group{}
	for thing, on := range holders {
		key := ranges(on)
		if byHolders[key] == nil {
			byHolders[key] = &group{On: key}
		}
		g := byHolders[key]
		if thing[0] == 'r' {
			g.Risks = append(g.Risks, Risk(thing[1:]))
		} else {
			g.What = append(g.What, thing[1:])
		}
	}
	for _, g := range byHolders {
		slices.Sort(g.Risks)
		slices.Sort(g.What)
		c.Groups = append(c.Groups, *g)
	}
	slices.SortFunc(c.Groups, func(a, b group) int { return strings.Compare(a.On, b.On) })
	text, err := json.Marshal(c)
	if err != nil {
		return json.RawMessage(`{"v":1,"s":[],"g":[]}`) // plain strings always marshal
	}
	return text
}

// UnpackDigests reads the compact form, which may have been written by anybody.
func UnpackDigests(text json.RawMessage) ([]Digest, error) {
	var c compact
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("the plan's digests cannot be read: %w", err)
	}
	if c.Version != digestVersion {
		return nil, fmt.Errorf("the plan's digests have the form %d, and this program reads %d", c.Version, digestVersion)
	}
	list := make([]Digest, len(c.Subjects))
	for i, s := range c.Subjects {
		action, subject, ok := strings.Cut(s, " ")
		if !ok || !slices.Contains([]Action{Create, Update, Rebuild, Replace, Destroy}, Action(action)) {
			return nil, errors.New("the plan's digests name something that is no change")
		}
		list[i] = Digest{Subject: subject, Action: Action(action)}
	}
	things := 0
	for _, g := range c.Groups {
		on, err := indexes(g.On, len(list))
		if err != nil {
			return nil, err
		}
		if things += len(on) * (len(g.Risks) + len(g.What)); things > maxThings {
			return nil, errors.New("the plan's digests are too many")
		}
		for _, i := range on {
			list[i].Risks = append(list[i].Risks, g.Risks...)
			list[i].What = append(list[i].What, g.What...)
		}
	}
	return normal(list), nil
}

// ranges writes ascending numbers as "0-3,7".
func ranges(numbers []int) string {
	var b strings.Builder
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(numbers[i]))
		if j > i {
			b.WriteString("-" + strconv.Itoa(numbers[j]))
		}
		i = j + 1
	}
	return b.String()
}

// indexes reads what ranges wrote: ascending numbers below n.
func indexes(text string, n int) ([]int, error) {
	var list []int
	next := 0
	for word := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < next || to < from || to >= n {
			return nil, fmt.Errorf("the plan's digests name changes %q, which are none", text)
		}
		for i := from; i <= to; i++ {
			list = append(list, i)
		}
		next = to + 1
	}
	return list, nil
}
