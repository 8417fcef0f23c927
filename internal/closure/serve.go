package closure

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/nix-community/go-nix/pkg/nixbase32"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// The serve protocol's numbers.
const (
	magicClient = 0x390c9deb
	magicServer = 0x5452eecb

	ourVersion = 2<<8 | 7 // all that is needed here is the same from 2.5 to 2.8
	minVersion = 2<<8 | 5 // before it there is no AddToStoreNar

	cmdQueryValidPaths = 1
	cmdQueryPathInfos  = 2
	cmdDumpStorePath   = 3
	cmdQueryClosure    = 7
	cmdAddToStoreNar   = 9
)

// lastWords is how long a failed program may take to end, so that its stderr
// can be told.
const lastWords = 5 * time.Second

// info is what a store knows of a path.
type info struct {
	path    storepath.Path
	deriver storepath.Path // zero: none
	refs    []storepath.Path
	size    int64             // of the NAR, bytes
	hash    [sha256.Size]byte // of the NAR
	ca      string
	sigs    []string
}

// session is a conversation with one nix-store --serve.
type session struct {
	stream Stream
	in     *bufio.Reader
	greet  bool // the greeting is still to be sent

	ended sync.Once
	end   error
}

func newSession(stream Stream) *session {
	return &session{stream: stream, in: bufio.NewReaderSize(stream, 64<<10), greet: true}
}

func (s *session) answer() reader { return reader{s.in} }

// greeting is what the client says first.
func greeting() *request {
	q := &request{}
	q.number(magicClient)
	q.number(ourVersion)
	return q
}

// send writes a request; the first one goes out together with the greeting,
// which saves a round trip.
func (s *session) send(q *request) error {
	if !s.greet {
		_, err := s.stream.Write(q.Bytes())
		return s.failure(err)
	}
	s.greet = false
	hello := greeting()
	_, _ = hello.Write(q.Bytes()) // a bytes.Buffer: cannot fail
	if _, err := s.stream.Write(hello.Bytes()); err != nil {
		return s.failure(err)
	}
	return s.failure(s.readGreeting())
}

func (s *session) readGreeting() error {
	magic, err := s.answer().number()
	if err != nil {
		return err
	}
	if magic != magicServer {
		return &NoiseError{Text: s.noise(magic)}
	}
	version, err := s.answer().number()
	if err != nil {
		return err
	}
	if version>>8 != 2 || version < minVersion {
		return fmt.Errorf("the Nix there speaks version %d.%d of the serve protocol; 2.5 or later is wanted (Nix 2.3)", version>>8, version&0xff)
	}
	return nil
}

// noise gives the bytes that came in place of the magic number, and what is
// already there behind them.
func (s *session) noise(first uint64) []byte {
	text := binary.LittleEndian.AppendUint64(make([]byte, 0, 512), first)
	more, _ := s.in.Peek(min(s.in.Buffered(), 504))
	return append(text, more...)
}

// failure adds to an error what the program said when it ended.
func (s *session) failure(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) && !isBrokenPipe(err) {
		return err
	}
	if end := s.finish(); end != nil {
		return end
	}
	return fmt.Errorf("nix-store ended before it answered: %w", io.ErrUnexpectedEOF)
}

// finish ends the session and gives how the program ended.
func (s *session) finish() error {
	s.ended.Do(func() {
		_ = s.stream.CloseWrite()
		done := make(chan error, 1)
		go func() { done <- s.stream.Wait() }()
		go func() { _, _ = io.Copy(io.Discard, s.in) }()
		select {
		case s.end = <-done:
		case <-time.After(lastWords):
		}
		_ = s.stream.Close()
	})
	return s.end
}

// validPaths asks which paths are valid. The store keeps all of them, also
// those that come later, from being collected while the session lives.
func (s *session) validPaths(paths []storepath.Path) (map[storepath.Path]bool, error) {
	q := &request{}
	q.number(cmdQueryValidPaths)
	q.flag(true)  // lock
	q.flag(false) // substitute: blocks without a word for minutes
	q.paths(paths)
	if err := s.send(q); err != nil {
		return nil, err
	}
	answer, err := s.answer().paths(uint64(len(paths)))
	if err != nil {
		return nil, s.failure(err)
	}
	asked := make(map[storepath.Path]bool, len(paths))
	for _, p := range paths {
		asked[p] = true
	}
	valid := make(map[storepath.Path]bool, len(answer))
	for _, p := range answer {
		if !asked[p] {
			return nil, fmt.Errorf("answer names %s, which was not asked for", p)
		}
		valid[p] = true
	}
	return valid, nil
}

func (s *session) queryClosure(root storepath.Path) ([]storepath.Path, error) {
	q := &request{}
	q.number(cmdQueryClosure)
	q.flag(false) // not the outputs of derivations
	q.paths([]storepath.Path{root})
	if err := s.send(q); err != nil {
		return nil, err
	}
	paths, err := s.answer().paths(maxPaths)
	return paths, s.failure(err)
}

func (s *session) pathInfos(paths []storepath.Path) (map[storepath.Path]info, error) {
	q := &request{}
	q.number(cmdQueryPathInfos)
	q.paths(paths)
	if err := s.send(q); err != nil {
		return nil, err
	}
	infos := make(map[storepath.Path]info, len(paths))
	for {
		i, more, err := s.answer().info()
		if err != nil {
			return nil, s.failure(err)
		}
		if !more {
			return infos, nil
		}
		if len(infos) == len(paths) {
			return nil, errors.New("answer names more paths than were asked for")
		}
		infos[i.path] = i
	}
}

// info reads one answer to QueryPathInfos; false: the list has ended.
func (d reader) info() (info, bool, error) {
	var i info
	name, err := d.text()
	if err != nil || name == "" {
		return i, false, err
	}
	if i.path, err = storepath.Parse(name); err != nil {
		return i, false, err
	}
	deriver, err := d.text()
	if err != nil {
		return i, false, err
	}
	if i.deriver, err = storepath.ParseOptional(deriver); err != nil {
		return i, false, err
	}
	if i.refs, err = d.paths(maxRefs); err != nil {
		return i, false, err
	}
	if _, err = d.number(); err != nil { // download size
		return i, false, err
	}
	size, err := d.number()
	if err != nil {
		return i, false, err
	}
	if size == 0 || size > math.MaxInt64 {
		return i, false, fmt.Errorf("%s: NAR size %d makes no sense", i.path, size)
	}
	i.size = int64(size)
	hash, err := d.text()
	if err != nil {
		return i, false, err
	}
	if i.hash, err = parseHash(hash); err != nil {
		return i, false, fmt.Errorf("%s: %w", i.path, err)
	}
	if i.ca, err = d.text(); err != nil {
		return i, false, err
	}
	i.sigs, err = d.texts(maxSigs)
	return i, err == nil, err
}

// parseHash reads sha256:<nix base 32>, the form in which all servers answer.
func parseHash(text string) (hash [sha256.Size]byte, err error) {
	digits, ok := strings.CutPrefix(text, "sha256:")
	if !ok {
		return hash, fmt.Errorf("NAR hash %q: want sha256:…", text)
	}
	sum, err := nixbase32.DecodeString(digits)
	if err != nil || len(sum) != len(hash) {
		return hash, fmt.Errorf("NAR hash %q: not 32 bytes in Nix's base 32", text)
	}
	copy(hash[:], sum)
	return hash, nil
}

// dump asks for a path's NAR, of which exactly its size must be read from the
// result.
func (s *session) dump(p storepath.Path) (io.Reader, error) {
	q := &request{}
	q.number(cmdDumpStorePath)
	q.text(p.String())
	if err := s.send(q); err != nil {
		return nil, err
	}
	return s.in, nil
}

// addRequest is what AddToStoreNar says before the NAR.
func addRequest(i info) *request {
	q := &request{}
	q.number(cmdAddToStoreNar)
	q.text(i.path.String())
	q.text(i.deriver.String())
	q.text(hex.EncodeToString(i.hash[:]))
	q.paths(i.refs)
	q.number(0)              // registration time: now
	q.number(uint64(i.size)) //nolint:gosec // info lets none through that is not positive
	q.flag(false)            // ultimate: it was not built there
	q.texts(i.sigs)
	q.text(i.ca)
	return q
}
