package deploy

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Folders of dead runs go, those of living and of young ones stay.
func TestSweep(t *testing.T) {
	parent := t.TempDir()
	age := func(dir string) {
		if err := os.Chtimes(dir, time.Now(), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	make := func() *scratch {
		s, err := newScratch(parent)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	living, dead, young := make(), make(), make()
	age(living.dir)
	for _, s := range []*scratch{dead, young} { // their processes are gone
		if err := s.lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dead.dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	age(dead.dir)
	other := filepath.Join(parent, "flotilla-else")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	age(other)
	last := make()
	for dir, stays := range map[string]bool{living.dir: true, dead.dir: false, young.dir: true, other: true, last.dir: true} {
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: %v, stays: %v", dir, err, stays)
		}
	}
	living.remove()
	if _, err := os.Stat(living.dir); err == nil {
		t.Error("its own folder stays after the end")
	}
}
