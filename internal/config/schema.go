package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// The types below are the shape of flotilla.yaml: a yaml tag is a key. Sections
// with names of the user's choice are maps. What a value must be beyond its
// type is in check*.go, what it is when absent in defaults.go.

type fleetFile struct {
	Fleet    string                   `yaml:"fleet"`
	Hive     string                   `yaml:"hive"`
	Flake    string                   `yaml:"flake"`
	Provider providerSection          `yaml:"provider"`
	SSH      sshSection               `yaml:"ssh"`
	Networks map[string]networkEntry  `yaml:"networks"`
	SSHKeys  map[string]sshKeyEntry   `yaml:"ssh_keys"`
	Servers  map[string]serverEntry   `yaml:"servers"`
	Hosts    map[string]hostSelection `yaml:"hosts"`
	Rollout  rolloutSection           `yaml:"rollout"`
}

type providerSection struct {
	Hetzner *hetznerSection `yaml:"hetzner"`
}

type hetznerSection struct {
	Token        secretRef `yaml:"token"`
	Endpoint     string    `yaml:"endpoint"`
	PollInterval duration  `yaml:"poll_interval"`
}

// secretRef says where a secret is; never the secret.
type secretRef struct {
	Env string `yaml:"env"`
}

type sshSection struct {
	User    string    `yaml:"user"`
	Port    int       `yaml:"port"`
	Key     secretRef `yaml:"key"`
	Address string    `yaml:"address"`
}

type networkEntry struct {
	IPRange string            `yaml:"ip_range"`
	Subnets []subnetEntry     `yaml:"subnets"`
	Labels  map[string]string `yaml:"labels"`
}

type subnetEntry struct {
	Type        string `yaml:"type"`
	NetworkZone string `yaml:"network_zone"`
	IPRange     string `yaml:"ip_range"`
}

type sshKeyEntry struct {
	PublicKey string            `yaml:"public_key"`
	Existing  bool              `yaml:"existing"`
	Labels    map[string]string `yaml:"labels"`
}

type serverEntry struct {
	ServerType       string                     `yaml:"server_type"`
	Image            string                     `yaml:"image"`
	Location         oneOrMore                  `yaml:"location"`
	Networks         map[string]attachmentEntry `yaml:"networks"`
	SSHKeys          []string                   `yaml:"ssh_keys"`
	Labels           map[string]string          `yaml:"labels"`
	DeleteProtection bool                       `yaml:"delete_protection"`
}

type attachmentEntry struct {
	IP string `yaml:"ip"`
}

type hostSelection struct {
	Health  []checkEntry `yaml:"health"`
	Address string       `yaml:"address"`
	HostKey string       `yaml:"host_key"`
}

// checkEntry holds exactly one check.
type checkEntry struct {
	HTTP    *httpEntry    `yaml:"http"`
	TCP     *tcpEntry     `yaml:"tcp"`
	Command *commandEntry `yaml:"command"`
	Units   *unitsEntry   `yaml:"units"`
}

type httpEntry struct {
	URL    string   `yaml:"url"`
	Status int      `yaml:"status"`
	Body   string   `yaml:"body"`
	Via    string   `yaml:"via"`
	Within duration `yaml:"within"`
}

type tcpEntry struct {
	Port   int      `yaml:"port"`
	Within duration `yaml:"within"`
}

type commandEntry struct {
	Run    []string `yaml:"run"`
	Within duration `yaml:"within"`
}

type unitsEntry struct {
	Active []string `yaml:"active"`
	Within duration `yaml:"within"`
}

type rolloutSection struct {
	Waves             []string `yaml:"waves"`
	MaxParallel       int      `yaml:"max_parallel"`
	MaxUnavailable    int      `yaml:"max_unavailable"`
	OnFailure         string   `yaml:"on_failure"`
	ActivationTimeout duration `yaml:"activation_timeout"`
	ConfirmTimeout    duration `yaml:"confirm_timeout"`
	KeepGenerations   int      `yaml:"keep_generations"`
}

// oneOrMore is a list that may be written as its single element.
type oneOrMore []string

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
