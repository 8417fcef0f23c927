package job

import (
	"cmp"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/flotilla-nix/flotilla/internal/config"
)

// maxConfig is how much of a fleet's file is searched for its name.
const maxConfig = 1 << 20

// nameFleet finds the name under which everything is told. A file with a
// mistake in it names its fleet too: what is told about the mistake belongs to
// the comment that is there already.
func (j *job) nameFleet() {
	if read, err := config.Load(filepath.Join(j.dir, config.FileName)); err == nil {
		j.fleet = read.Name
	} else {
		j.fleet = cmp.Or(writtenName(j.workspace, filepath.Join(j.FleetDir, config.FileName)), filepath.Base(j.dir))
	}
	j.Environment = cmp.Or(j.Environment, j.fleet)
}

// writtenName is what the line "fleet:" of a file says; "" if there is none.
// The file may be a stranger's: no link leads out of the workspace.
func writtenName(workspace, file string) string {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return ""
	}
	defer root.Close()
	f, err := root.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfig))
	if err != nil {
		return ""
	}
	line := regexp.MustCompile(`(?m)^fleet:[ \t]*["']?([A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)["']?[ \t]*(?:#.*)?\r?$`)
	if found := line.FindSubmatch(data); found != nil {
		return string(found[1])
	}
	return ""
}
