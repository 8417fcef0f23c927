package forge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

const (
	createComment = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments"
	editComment   = "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}"
)

func TestNoteIsKeptInPlace(t *testing.T) {
	f := start(t, nil)
	number := f.pull("feature", "One")
	// Neither somebody else's comment with our header, nor ours without one, is it.
	f.api.PutComment(number, "mallory", note("plan", "").Header.String()+"\nplanted")
	f.api.PutComment(number, "github-actions[bot]", "no header")
	for i := range 120 { // more than a page
		f.api.PutComment(number, "octocat", fmt.Sprint(i))
	}
	put := func(n forge.Note, want forge.Outcome) forge.Posted {
		t.Helper()
		posted, err := f.client.PutNote(t.Context(), number, n)
		if ok(t, posted, err); posted.Outcome != want {
			t.Errorf("%s, want %s", posted.Outcome, want)
		}
		return posted
	}
	quiet := note("plan", "nothing changes")
	quiet.OnlyUpdate = true
	put(quiet, forge.None)
	first := put(note("plan", "one server"), forge.Created)
	if first.ID == 0 || !strings.Contains(first.URL, "issuecomment") {
		t.Errorf("posted %+v", first)
	}
	if again := put(note("plan", "one server"), forge.Unchanged); again.ID != first.ID {
		t.Errorf("comment %d, want %d", again.ID, first.ID)
	}
	put(note("plan", "two servers"), forge.Updated)
	put(quiet, forge.Updated)
	put(quiet, forge.Unchanged)
	other := note("plan", "another fleet's")
	other.Header.Fleet = "other"
	put(other, forge.Created)
	put(note("deploy", "a result"), forge.Created)

	counts := f.api.Requests()
	if counts[createComment] != 3 || counts[editComment] != 2 {
		t.Errorf("%d created, %d edited; want 3 and 2", counts[createComment], counts[editComment])
	}
	ours := f.api.Comments(number)[122:]
	if len(ours) != 3 || !strings.HasPrefix(ours[0].Body, "<!-- flotilla:plan v1 {") || !strings.HasSuffix(ours[0].Body, "\nnothing changes") {
		t.Errorf("comments: %+v", ours)
	}

	// Two runs at once made two: the first stays.
	f.api.PutComment(number, "github-actions[bot]", note("plan", "").Header.String()+"\nsecond")
	if kept := put(note("plan", "after the race"), forge.Updated); kept.ID != first.ID {
		t.Errorf("comment %d was kept, want %d", kept.ID, first.ID)
	}
	if left := f.api.Comments(number)[122:]; len(left) != 3 {
		t.Errorf("%d comments of ours are left, want 3", len(left))
	}
	found, err := f.client.Notes(t.Context(), number)
	if ok(t, found, err); len(found) != 3 || found[0].Header.Commit != "abc" || found[1].Header.Fleet != "other" {
		t.Errorf("notes: %+v", found)
	}
}

// TestNoteThatIsTooLong: GitHub counts otherwise than we do.
func TestNoteThatIsTooLong(t *testing.T) {
	f := start(t, nil)
	number := f.pull("feature", "One")
	var asked []int
	n := note("plan", "")
	n.Body = func(bytes int) string {
		asked = append(asked, bytes)
		if len(asked) == 1 {
			return strings.Repeat("x", github.CommentLimit)
		}
		return strings.Repeat("x", bytes)
	}
	posted, err := f.client.PutNote(t.Context(), number, n)
	if ok(t, posted, err); posted.Outcome != forge.Created || len(asked) != 2 || asked[0] > forge.CommentBytes || asked[1] > asked[0]/2 {
		t.Errorf("%+v, asked for %v", posted, asked)
	}
	asked = nil
	posted, err = f.client.PutNote(t.Context(), number, n)
	if ok(t, posted, err); len(asked) != 2 {
		t.Errorf("on change %+v, asked for %v", posted, asked)
	}
}

func TestRetire(t *testing.T) {
	f := start(t, nil)
	number := f.pull("feature", "One")
	gone := note("plan", "of a fleet that was renamed")
	gone.Header.Fleet = "gone"
	for _, n := range []forge.Note{note("plan", "stays"), gone} {
		posted, err := f.client.PutNote(t.Context(), number, n)
		ok(t, posted, err)
	}
	keep := func(h forge.Header) bool { return h.Fleet == "acme" }
	for i, want := range []int{1, 0} {
		n, err := f.client.Retire(t.Context(), number, "plan", keep)
		if ok(t, n, err); n != want {
			t.Errorf("time %d: %d retired, want %d", i+1, n, want)
		}
	}
	comments := f.api.Comments(number)
	if comments[0].Minimized != "" || comments[1].Minimized != "OUTDATED" || !strings.HasPrefix(comments[1].Body, "<!-- flotilla:outdated-plan v1") ||
		!strings.HasSuffix(comments[1].Body, "\nof a fleet that was renamed") {
		t.Errorf("comments: %+v", comments)
	}
}

func TestHeader(t *testing.T) {
	long := make([]string, 300)
	for i := range long {
		long[i] = fmt.Sprintf("server/web-%d replace destroy", i)
	}
	big := ok2(json.Marshal(long))
	for name, h := range map[string]forge.Header{
		"small":   {Kind: "plan", Version: 1, Fleet: "acme"},
		"full":    {Kind: "plan", Version: 12, Fleet: "acme", Environment: "prod", Commit: "abc", Data: json.RawMessage(`{"a":[1,-1]}`)},
		"hostile": {Kind: "plan", Version: 1, Fleet: "--> <script> -- \n``", Environment: "---", Data: json.RawMessage(`"-->--!><!--"`)},
		"big":     {Kind: "deploy", Version: 1, Fleet: "acme", Data: big},
	} {
		t.Run(name, func(t *testing.T) {
			line := h.String()
			inner := strings.TrimSuffix(strings.TrimPrefix(line, "<!--"), "-->")
			if strings.Contains(inner, "--") || strings.ContainsAny(inner, "<>\n") {
				t.Errorf("the header can end its comment: %s", line)
			}
			if len(line) > 3000 {
				t.Errorf("%d bytes", len(line))
			}
			got, ours, err := forge.ParseHeader(line + "\r\nbody")
			if err != nil || !ours || got.Kind != h.Kind || got.Version != h.Version || got.Fleet != h.Fleet || got.Environment != h.Environment || got.Commit != h.Commit {
				t.Fatalf("read %+v, %v, %v", got, ours, err)
			}
			var want, have any
			if len(h.Data) > 0 {
				if err := json.Unmarshal(h.Data, &want); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(got.Data, &have); err != nil {
					t.Fatal(err)
				}
			}
			if fmt.Sprint(want) != fmt.Sprint(have) {
				t.Errorf("data %v, want %v", have, want)
			}
		})
	}
}

func ok2(data []byte, err error) json.RawMessage {
	if err != nil {
		panic(err)
	}
	return data
}

func FuzzParseHeader(f *testing.F) {
	for _, seed := range []string{
		`<!-- flotilla:plan v1 {"fleet":"acme"} -->`, `<!-- flotilla:plan v1 {} -->` + "\nbody", `<!-- flotilla: v1 {} -->`, `<!-- flotilla:plan v0 {} -->`,
		`<!-- flotilla:plan v1 {"fleet":"a","packed":"S0tMKgEA"} -->`, `<!-- flotilla:plan v1 [] -->`, `<!-- flotilla:plan {} -->`, "", "<!-- flotilla:", `<!-- flotilla:plan v1 {"packed":"////"} -->`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, ours, err := forge.ParseHeader(text)
		if ours && err != nil || !ours && h.Kind != "" {
			t.Fatalf("%+v %v %v", h, ours, err)
		}
		if !ours {
			return
		}
		again, ours, err := forge.ParseHeader(h.String())
		if err != nil || !ours || again.Fleet != h.Fleet || again.Environment != h.Environment || again.Kind != h.Kind || again.Version != h.Version {
			t.Fatalf("%+v became %+v, %v, %v", h, again, ours, err)
		}
	})
}
