package cloudinit

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
)

// isMIME tells user data that consists of parts.
func isMIME(first string) bool {
	first = strings.ToLower(first)
	return strings.HasPrefix(first, "mime-version:") || strings.HasPrefix(first, "content-type:")
}

// parseParts reads MIME user data and merges its parts, the first to say
// something winning, as with cloud-init. Its scripts run one after another.
func parseParts(userData string) (Config, error) {
	message, err := mail.ReadMessage(strings.NewReader(userData))
	if err != nil {
		return Config{}, fmt.Errorf("user data: %w", err)
	}
	return parsePart(message.Header.Get("Content-Type"), message.Body)
}

func parsePart(contentType string, body io.Reader) (Config, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return Config{}, fmt.Errorf("user data: Content-Type %q: %w", contentType, err)
	}
	if !strings.HasPrefix(kind, "multipart/") {
		text, err := io.ReadAll(io.LimitReader(body, maxFile))
		if err != nil {
			return Config{}, fmt.Errorf("user data: %w", err)
		}
		return parseText(kind, string(text))
	}
	var all Config
	reader := multipart.NewReader(body, params["boundary"])
	for n := 0; ; n++ {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) && n > 0 {
			return all, nil
		}
		if err != nil {
			return Config{}, fmt.Errorf("user data: %w", err)
		}
		c, err := parsePart(part.Header.Get("Content-Type"), part)
		if err != nil {
			return Config{}, err
		}
		all.merge(c)
	}
}

// parseText reads one part. Its type says how; text/plain leaves that to the
// first line.
func parseText(kind, text string) (Config, error) {
	switch kind {
	case "text/cloud-config":
		return parseDocument(text)
	case "text/x-shellscript", "text/plain":
		return Parse(text)
	}
	return Config{Notes: []string{"a part of type " + kind + " is ignored"}}, nil
}

func (c *Config) merge(next Config) {
	if c.Hostname == "" {
		c.Hostname = next.Hostname
	}
	if c.HostKeys == nil {
		c.HostKeys = map[string]string{}
	}
	for _, name := range slices.Sorted(maps.Keys(next.HostKeys)) {
		if _, set := c.HostKeys[name]; set {
			c.Notes = append(c.Notes, "ssh_keys."+name+" is set twice: the first counts")
			continue
		}
		c.HostKeys[name] = next.HostKeys[name]
	}
	c.AuthorizedKeys = append(c.AuthorizedKeys, next.AuthorizedKeys...)
	c.Files = append(c.Files, next.Files...)
	c.Notes = append(c.Notes, next.Notes...)
	switch {
	case c.Script == "":
		c.Script = next.Script
	case next.Script != "":
		// Each in a process of its own, whatever its interpreter.
		c.Script = "#!/bin/sh\n" + inFile(c.Script) + inFile(next.Script)
	}
}

// inFile runs a script from a file, so that its first line counts.
func inFile(script string) string {
	return "script=$(mktemp) && printf '%s' " + quote(script) + " >\"$script\" && chmod 700 \"$script\" && \"$script\"\nrm -f \"$script\"\n"
}
