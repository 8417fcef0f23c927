package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
)

// Status is what a lab consists of.
type Status struct {
	Name    string            `json:"name"`
	State   string            `json:"state"`   // directory
	API     string            `json:"api"`     // http://host:port; "": it does not run
	Images  map[string]string `json:"images"`  // os → docker image
	Engine  string            `json:"engine"`  // who started docker
	Servers []ServerStatus    `json:"servers"` // of the API
}

// ServerStatus is one server of a lab.
type ServerStatus struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	Status    string `json:"status"`
	Address   string `json:"address"`
	Image     string `json:"image"`
	Container string `json:"container"`
}

// StatusOf looks at a lab. A lab that does not run is no error.
func StatusOf(ctx context.Context, name string) (Status, error) {
	l, err := find(name)
	if err != nil {
		return Status{}, err
	}
	s, _, err := l.settings()
	if err != nil {
		return Status{}, err
	}
	status := Status{Name: name, State: l.dir, Images: s.Images, Engine: "not started by a lab", Servers: []ServerStatus{}}
	if id, ours := (engine{root: l.root}).ours(); ours {
		status.Engine = fmt.Sprintf("started by `lab up` (process %d)", id.PID)
	}
	now, s, err := l.running(ctx)
	if err != nil {
		return status, nil //nolint:nilerr // that it does not run is what status tells
	}
	status.API = "http://" + now.Address
	for page := 1; page > 0; {
		var list struct {
			Servers []struct {
				ID        int64  `json:"id"`
				Name      string `json:"name"`
				Status    string `json:"status"`
				PublicNet struct {
					IPv4 *struct {
						IP string `json:"ip"`
					} `json:"ipv4"`
				} `json:"public_net"`
				Image struct {
					Description string `json:"description"`
				} `json:"image"`
			} `json:"servers"`
			Meta struct {
				Pagination struct {
					Next int `json:"next_page"`
				} `json:"pagination"`
			} `json:"meta"`
		}
		if err := get(ctx, now.Address, s.Token, fmt.Sprintf("/v1/servers?per_page=50&page=%d", page), &list); err != nil {
			return status, err
		}
		for _, v := range list.Servers {
			server := ServerStatus{ID: v.ID, Name: v.Name, Status: v.Status, Image: v.Image.Description, Container: ContainerName(name, v.ID)}
			if v.PublicNet.IPv4 != nil {
				server.Address = v.PublicNet.IPv4.IP
			}
			status.Servers = append(status.Servers, server)
		}
		page = list.Meta.Pagination.Next
	}
	return status, nil
}

// Text is the status for people.
func (s Status) Text() string {
	var b strings.Builder
	api := s.API
	if api == "" {
		api = "does not run"
	}
	_, _ = fmt.Fprintf(&b, "lab %s\n  API     %s\n  state   %s\n  engine  %s\n", s.Name, api, s.State, s.Engine)
	for _, system := range []string{"debian", "nixos"} {
		if s.Images[system] != "" {
			_, _ = fmt.Fprintf(&b, "  image   %s (%s)\n", s.Images[system], system)
		}
	}
	if len(s.Servers) == 0 {
		return b.String()
	}
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tNAME\tSTATUS\tADDRESS\tIMAGE\tCONTAINER")
	for _, v := range s.Servers {
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Name, v.Status, v.Address, v.Image, v.Container)
	}
	_ = w.Flush()
	return b.String()
}

// Env gives the export lines that point flotilla, nix and the hcloud CLI at a
// lab that runs.
func Env(ctx context.Context, name string) (string, error) {
	l, err := find(name)
	if err != nil {
		return "", err
	}
	now, s, err := l.running(ctx)
	if err != nil {
		return "", err
	}
	nixConfig := "build-users-group =\nsandbox = false\nsubstituters =\nexperimental-features = nix-command flakes"
	return apiEnv(now.Address, s.Token, s.ReadOnlyToken) +
		"export NIX_PATH=" + quote("nixpkgs="+l.file("nixpkgs")) + "\n" +
		"export NIX_CONFIG=" + quote(nixConfig) + "\n", nil
}

// get asks the lab's API; v nil drops the answer.
func get(ctx context.Context, address, token, path string, v any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := client().Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the lab's API answers %s to %s", answer.Status, path)
	}
	if v == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(v)
}

// exists tells whether there is state of the lab.
func (l lab) exists() bool {
	_, err := os.Stat(l.dir)
	return err == nil
}
