package forge

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Header is the hidden first line of a comment or an issue that is ours:
//
//	<!-- flotilla:plan v1 {"fleet":"acme","environment":"prod",…} -->
//
// With the author it says which comment is which. Fleet and Environment are in
// every version; Version is that of Data, which whoever wrote it can read.
type Header struct {
	Kind        string `json:"-"` // plan, deploy, drift, …: lower-case letters and dashes
	Version     int    `json:"-"` // of Data; from 1
	Fleet       string `json:"fleet"`
	Environment string `json:"environment,omitempty"`
	// Dir is the folder of the fleet's file in the repository, "." at the top.
	Dir string `json:"dir,omitempty"`
	// Commit is the revision that the text is about, for a plan its head.
	Commit string          `json:"commit,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
}

const (
	headerStart = "<!-- flotilla:"
	headerEnd   = " -->"
	// packedFrom is the size of Data from which it is packed.
	packedFrom = 1024
	// maxData is how large Data gets when unpacked.
	maxData = 1 << 20
)

// wireHeader is the JSON of a Header; of Data and Packed one is there.
type wireHeader struct {
	Header
	Packed string `json:"packed,omitempty"` // base64 of deflated Data
}

// String gives the header's line, without a line end.
func (h Header) String() string {
	w := wireHeader{Header: h}
	if len(h.Data) > packedFrom {
		if packed, err := pack(h.Data); err == nil && len(packed) < len(h.Data) {
			w.Packed, w.Data = packed, nil
		}
	}
	text, err := json.Marshal(w) // escapes < and >
	if err != nil {
		text = []byte("{}") // Data that is no JSON: the comment stays ours, without a meaning
	}
	// Two dashes would end an HTML comment. In JSON they stand in strings only.
	text = bytes.ReplaceAll(text, []byte("--"), []byte(`\u002d\u002d`))
	return headerStart + h.Kind + " v" + strconv.Itoa(h.Version) + " " + string(text) + headerEnd
}

// ParseHeader reads the first line of a text. ok is false if that is no header
// of ours; err says that it is one which cannot be read.
func ParseHeader(text string) (h Header, ok bool, err error) {
	line, _, _ := strings.Cut(text, "\n")
	line = strings.TrimSuffix(line, "\r")
	rest, begins := strings.CutPrefix(line, headerStart)
	rest, ends := strings.CutSuffix(rest, headerEnd)
	if !begins || !ends {
		return Header{}, false, nil
	}
	kind, rest, _ := strings.Cut(rest, " ")
	version, body, found := strings.Cut(rest, " ")
	if !found || kind == "" || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz-") != "" {
		return Header{}, false, nil
	}
	var w wireHeader
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		return Header{}, false, fmt.Errorf("the hidden header of a comment cannot be read: %w", err)
	}
	w.Kind = kind
	if w.Version, err = strconv.Atoi(strings.TrimPrefix(version, "v")); err != nil || w.Version < 1 {
		return Header{}, false, errors.New("the hidden header of a comment has no version")
	}
	if w.Packed != "" {
		if w.Data, err = unpack(w.Packed); err != nil {
			return Header{}, false, fmt.Errorf("the hidden header of a comment cannot be unpacked: %w", err)
		}
	}
	return w.Header, true, nil
}

// same tells whether two headers are of the same comment.
func (h Header) same(other Header) bool {
	return h.Kind == other.Kind && h.Fleet == other.Fleet && h.Environment == other.Environment
}

func pack(data []byte) (string, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

func unpack(text string) (json.RawMessage, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxData+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxData || !json.Valid(data) {
		return nil, errors.New("too large, or no JSON")
	}
	return data, nil
}

// cutLine parts a text after its first line.
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return line, rest
}
