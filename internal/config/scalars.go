package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// oneOrMore is a list that may be written as its single element.
type oneOrMore []string

// portText is a port, a range of ports or "any"; one port may be a number.
type portText string

// statusCode is an HTTP status, or a pattern of them; it may be a number.
type statusCode string

// seconds may be written as a number, as the provider's API has it, or as a
// duration.
type seconds int

// userData is text, written as such or as the file that holds it.
type userData struct {
	Text string
	File string // relative to flotilla.yaml; Text is its content
}

// userDataFile is the second form of userData.
type userDataFile struct {
	File string `yaml:"file" required:"true" doc:"The file with the text, relative to this file and inside the repository."`
}

// dnsNames maps "ipv4", "ipv6" or an address to a name. Alone, a name stands
// for all addresses that there are.
type dnsNames struct {
	All string
	By  map[string]string
}

// enumerated is a text with a fixed choice of values.
type enumerated interface{ words() []string }

type (
	via             string
	failurePolicy   string
	directPush      string
	subnetType      string
	networkZone     string
	direction       string
	ruleProtocol    string
	groupType       string
	addressFamily   string
	fileSystem      string
	algorithm       string
	serviceProtocol string
	checkProtocol   string
)

// Words that values are chosen from.
const (
	addressIPv4   = "ipv4"
	addressIPv6   = "ipv6"
	privatePrefix = "private."

	subnetCloud   subnetType = "cloud"
	subnetVSwitch subnetType = "vswitch"

	viaHost via = "host"
	viaDNS  via = "dns"

	directionIn  direction = "in"
	directionOut direction = "out"

	protocolTCP   = "tcp"
	protocolUDP   = "udp"
	protocolHTTP  = "http"
	protocolHTTPS = "https"

	groupSpread groupType = "spread"
	roundRobin  algorithm = "round_robin"
	portAny     portText  = "any"
	zoneEurope            = "eu-central"
)

func (via) words() []string { return []string{string(viaHost), string(viaDNS)} }

func (directPush) words() []string {
	return []string{string(fleet.DirectAllow), string(fleet.DirectStopOnRisk), string(fleet.DirectRefuse)}
}

func (failurePolicy) words() []string {
	return []string{string(fleet.RollbackHost), string(fleet.Continue)}
}

func (subnetType) words() []string { return []string{string(subnetCloud), string(subnetVSwitch)} }

func (networkZone) words() []string {
	return []string{zoneEurope, "us-east", "us-west", "ap-southeast"}
}

func (direction) words() []string { return []string{string(directionIn), string(directionOut)} }

func (ruleProtocol) words() []string {
	return []string{protocolTCP, protocolUDP, "icmp", "esp", "gre"}
}

func (groupType) words() []string { return []string{string(groupSpread)} }

func (addressFamily) words() []string { return []string{addressIPv4, addressIPv6} }

func (fileSystem) words() []string { return []string{"ext4", "xfs"} }

func (algorithm) words() []string { return []string{string(roundRobin), "least_connections"} }

func (serviceProtocol) words() []string { return []string{protocolTCP, protocolHTTP, protocolHTTPS} }

func (checkProtocol) words() []string { return []string{protocolTCP, protocolHTTP} }

// duration is written with its unit: 500ms, 60s, 10m, 1h30m.
type duration time.Duration

var errNoUnit = errors.New("the unit is missing")

var bareNumber = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

func parseDuration(s string) (duration, error) {
	if bareNumber.MatchString(s) {
		return 0, errNoUnit
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("not a duration: %w", err)
	}
	return duration(d), nil
}

// String leaves out units that are zero: 10m, not 10m0s.
func (d duration) String() string {
	s := time.Duration(d).String()
	if short, ok := strings.CutSuffix(s, "m0s"); ok {
		s = short + "m"
	}
	if short, ok := strings.CutSuffix(s, "h0m"); ok {
		s = short + "h"
	}
	return s
}

// size is a number of bytes, written with its unit: 512MiB, 2GiB.
type size int64

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30
)

var sizeForm = regexp.MustCompile(`^([0-9]{1,6})(MiB|GiB)$`)

var errNoSize = errors.New("not a number with MiB or GiB")

func parseSize(s string) (size, error) {
	m := sizeForm.FindStringSubmatch(s)
	if m == nil {
		return 0, errNoSize
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("not a size: %w", err)
	}
	if m[2] == "GiB" {
		return size(n * gibibyte), nil
	}
	return size(n * mebibyte), nil
}

// ParseSize reads a number of bytes as flotilla.yaml has it: 512MiB, 2GiB.
func ParseSize(s string) (int64, error) {
	n, err := parseSize(s)
	return int64(n), err
}

// String has the larger unit where it fits.
func (s size) String() string {
	if s%gibibyte == 0 {
		return strconv.FormatInt(int64(s)/gibibyte, 10) + "GiB"
	}
	return strconv.FormatInt(int64(s)/mebibyte, 10) + "MiB"
}
