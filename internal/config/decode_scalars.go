package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

func (s *source) duration(n *node, d *duration, path string) {
	if n.kind != kindText && n.kind != kindNumber {
		s.wrongType(n, path, "a duration", "Write a number with its unit, for example 30s, 10m or 1h.")
		return
	}
	parsed, err := parseDuration(n.text)
	switch {
	case errors.Is(err, errNoUnit):
		s.report(n.value, fmt.Sprintf("%s: the duration %s has no unit", path, quote(n.text)), fmt.Sprintf("Did you mean %ss? Units are ms, s, m and h.", n.text))
		n.bad = true
	case err != nil:
		s.report(n.value, fmt.Sprintf("%s: %s is not a duration", path, quote(n.text)), "Write a number with its unit (ms, s, m or h), for example 30s, 10m or 1h30m.")
		n.bad = true
	default:
		*d = parsed
	}
}

func (s *source) size(n *node, target *size, path string) {
	parsed, err := parseSize(n.text)
	if n.kind != kindText || err != nil {
		s.wrongType(n, path, "an amount of memory", "Write a number with MiB or GiB, for example 1536MiB or 2GiB.")
		return
	}
	*target = parsed
}

// secretInFile refuses a secret where its reference belongs, and does not show it.
func (s *source) secretInFile(n *node, path string) {
	n.bad = true
	if n.kind == kindNull {
		s.report(n.value, path+" is empty", envExample(path))
		return
	}
	p := s.add(n.value, fmt.Sprintf("%s must name an environment variable, never hold the secret itself", path), envExample(path))
	if n.kind == kindText {
		p.Source = ""
		p.Hints = append(p.Hints, "If a secret was committed here, revoke it: it stays in the git history.")
	}
}

func envExample(path string) string {
	if strings.HasSuffix(path, ".key") {
		return "Write key: {env: FLOTILLA_SSH_KEY}, and set the variable FLOTILLA_SSH_KEY to the private key where flotilla runs."
	}
	return "Write token: {env: HCLOUD_TOKEN}, and set the variable HCLOUD_TOKEN where flotilla runs."
}

// textOrDigits takes a number where people write one for a text.
func (s *source) textOrDigits(n *node, target *string, path, want, hint string) {
	switch {
	case n.kind == kindText, n.kind == kindNumber && decimal.MatchString(n.text):
		*target = n.text
	default:
		s.wrongType(n, path, want, hint)
	}
}

func (s *source) seconds(n *node, target *seconds, path string) {
	if n.kind == kindNumber && decimal.MatchString(n.text) {
		i, err := strconv.ParseInt(n.text, 10, 32)
		if err == nil {
			*target = seconds(i)
			return
		}
	}
	if n.kind == kindText {
		if d, err := parseDuration(n.text); err == nil && time.Duration(d)%time.Second == 0 && time.Duration(d) < 1<<31*time.Second {
			*target = seconds(time.Duration(d) / time.Second)
			return
		}
	}
	s.wrongType(n, path, "whole seconds", "Write for example 15 or 15s.")
}

func (s *source) userData(n *node, target *userData, path string) {
	if n.kind != kindMapping {
		if n.kind == kindNull {
			return
		}
		s.text(n, reflect.ValueOf(&target.Text).Elem(), path)
		return
	}
	var file userDataFile
	s.section(n, reflect.ValueOf(&file).Elem(), path)
	if n.get("file") == nil {
		s.report(n.value, path+" names no file", "Write user_data: {file: ./cloud-init.yaml}, or the text itself.")
		n.bad = true
		return
	}
	target.File = file.File
}

func (s *source) dnsNames(n *node, target *dnsNames, path string) {
	switch n.kind {
	case kindText:
		target.All = n.text
	case kindMapping, kindNull:
		s.entries(n, reflect.ValueOf(&target.By).Elem(), path)
	case kindSequence, kindNumber, kindBool:
		s.wrongType(n, path, "a name, or names by ipv4, ipv6 or address", `Write for example www.example.com, or {ipv4: www.example.com, "2001:db8::1": mail.example.com}.`)
	}
}
