package nix

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSweepStores(t *testing.T) {
	where := t.TempDir()
	dead, alive, young, foreign := filepath.Join(where, storePrefix+"dead"), filepath.Join(where, storePrefix+"alive"), filepath.Join(where, storePrefix+"young"), filepath.Join(where, "other")
	for _, dir := range []string{dead, alive, young, foreign} {
		if err := os.MkdirAll(filepath.Join(dir, "nix/store"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	lock, err := lockStore(alive, unix.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	old := time.Now().Add(-time.Hour)
	for _, dir := range []string{dead, alive, foreign} {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	sweepStores(where, time.Now())
	for dir, want := range map[string]bool{dead: false, alive: true, young: true, foreign: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: there: %t, want %t", filepath.Base(dir), err == nil, want)
		}
	}
}

// Two trees evaluated one after the other share a store while it is kept, and
// nothing of it stays.
func TestKeep(t *testing.T) {
	s := hive(t, `{ meta.nixpkgs = <nixpkgs>; a = { }; }`)
	e := evaluator(t, Options{})
	done := e.Keep()
	var roots []string
	for range 2 {
		if got := e.Evaluate(t.Context(), s, []string{"a"}, nil)["a"]; got.Err != nil {
			t.Fatal(got.Err)
		}
		roots = append(roots, e.store.root)
	}
	if roots[0] == "" || roots[0] != roots[1] {
		t.Errorf("stores: %q", roots)
	}
	done()
	if _, err := os.Stat(roots[0]); err == nil {
		t.Error("the store stays")
	}
}
