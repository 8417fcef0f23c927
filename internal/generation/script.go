package generation

import (
	_ "embed" // the parts of the script
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

var (
	//go:embed scripts/base.sh
	scriptBase string
	//go:embed scripts/look.sh
	scriptLook string
	//go:embed scripts/lock.sh
	scriptLock string
	//go:embed scripts/deploy.sh
	scriptDeploy string
	//go:embed scripts/commit.sh
	scriptCommit string
	//go:embed scripts/return.sh
	scriptReturn string
	//go:embed scripts/settle.sh
	scriptSettle string
	//go:embed scripts/records.sh
	scriptRecords string
	//go:embed scripts/hostkey.sh
	scriptHostKey string
	//go:embed scripts/keys.sh
	scriptKeys string
	//go:embed scripts/main.sh
	scriptMain string
)

// script is the whole script. Its last line calls main, so that a part of it
// does nothing.
func script() string {
	return strings.Join([]string{
		scriptBase, scriptLook, scriptLock, scriptDeploy, scriptCommit, scriptReturn,
		scriptSettle, scriptRecords, scriptHostKey, scriptKeys, scriptMain,
	}, "\n")
}

// command is a program with its arguments and its standard input.
type command struct {
	argv  []string
	stdin string
}

// deployments is where the host keeps them.
const deployments = "/var/lib/flotilla/deployments/"

// storeText puts standard input into a file, if all of it came.
const storeText = `umask 077; PATH=/run/current-system/sw/bin:/usr/bin:/bin; export PATH; ` +
	`mkdir -p "${1%/*}" && chmod 700 /var/lib/flotilla && cat >"$1.new" && [ "$(wc -c <"$1.new")" -eq "$2" ] && sync "$1.new" && mv -f "$1.new" "$1"`

// verb runs a verb of the script, which is sent along.
func verb(name string, args ...string) command {
	return command{argv: append([]string{"/bin/sh", "-s", "--", name}, args...), stdin: script()}
}

// stored runs a verb of the script that the deployment brought.
func stored(id, name string, args ...string) command {
	return command{argv: append([]string{"/bin/sh", deployments + id + "/host.sh", name, id}, args...)}
}

// store writes a file of a deployment.
func store(id, name, text string) command {
	return command{
		argv:  []string{"/bin/sh", "-c", storeText, "sh", deployments + id + "/" + name, strconv.Itoa(len(text))},
		stdin: text,
	}
}

func lookCommand() command { return verb("look") }

func lockCommand(token, holder string, ttl time.Duration) command {
	return verb("lock", token, seconds(ttl), holder)
}

func unlockCommand(token string) command { return verb("unlock", token) }

func rootCommand(system storepath.Path) command { return verb("root", system.String()) }

// armCommand records the deployment and starts the guard, which goes off after
// deadline, and confirm after the activation's end. activation bounds a switch.
func armCommand(id string, old, next storepath.Path, deadline, activation, confirm time.Duration, keep int, token string) command {
	return stored(id, "arm", old.String(), next.String(), seconds(deadline), seconds(activation), strconv.Itoa(keep), token, seconds(confirm))
}

func startCommand(id string) command { return stored(id, "start") }

func disarmCommand(id, reason string) command { return stored(id, "disarm", quoteJSON(reason)) }

// statusCommand asks for the log from offset, and waits for news.
func statusCommand(id string, offset int64, wait time.Duration) command {
	return stored(id, "status", strconv.FormatInt(offset, 10), seconds(wait))
}

func unitsCommand(id string, units []string) command { return stored(id, "units", units...) }

func commitCommand(id string) command { return stored(id, "commit_start") }

// returnCommand goes back. blame remembers the new system as bad.
func returnCommand(id, reason string, blame bool) command {
	word := "no"
	if blame {
		word = "yes"
	}
	return stored(id, "return_start", quoteJSON(reason), word)
}

func toldCommand(id string) command { return stored(id, "told") }

func settleCommand(token string) command { return verb("settle", token) }

func recordsCommand(n int) command { return verb("records", strconv.Itoa(n)) }

func presentCommand(systems []storepath.Path) command {
	words := make([]string, 0, len(systems))
	for _, s := range systems {
		words = append(words, s.String())
	}
	return verb("present", words...)
}

func holdCommand(by, reason string) command { return verb("hold", holdText(by, reason)) }

func releaseCommand() command { return verb("release") }

func hostKeyPrepareCommand() command { return verb("hostkey_prepare") }

func hostKeyActivateCommand() command { return verb("hostkey_activate") }

// holdText is a hold without its time and its closing brace, which the host adds.
func holdText(by, reason string) string {
	return fmt.Sprintf(`{"by":%s,"reason":%s`, quoteJSON(by), quoteJSON(reason))
}

// seconds rounds up to whole ones.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
