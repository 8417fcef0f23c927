package cloud

import (
	"net/http"
	"strconv"
	"time"
)

const (
	imageSystem   = "system"
	imageSnapshot = "snapshot"
	imageBackup   = "backup"

	imageCreating  = "creating"
	imageAvailable = "available"

	// snapshotGB is how much the file of every snapshot and backup has.
	snapshotGB = 1
)

// image is an image in the API's form.
type image struct {
	ID           int64             `json:"id"`
	Type         string            `json:"type"`
	Status       string            `json:"status"`
	Name         *string           `json:"name"` // null for snapshots
	Description  string            `json:"description"`
	ImageSize    *float64          `json:"image_size"`
	DiskSize     float64           `json:"disk_size"`
	Created      time.Time         `json:"created"`
	CreatedFrom  *imageSource      `json:"created_from"`
	BoundTo      *int64            `json:"bound_to"`
	OSFlavor     string            `json:"os_flavor"`
	OSVersion    *string           `json:"os_version"`
	Architecture string            `json:"architecture"`
	RapidDeploy  bool              `json:"rapid_deploy"`
	Protection   map[string]bool   `json:"protection"`
	Deprecated   *time.Time        `json:"deprecated"`
	Deprecation  *end              `json:"deprecation"`
	Deleted      *time.Time        `json:"deleted"`
	Labels       map[string]string `json:"labels"`
}

type imageSource struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func (i *image) meta() *Meta {
	m := &Meta{ID: i.ID, Labels: i.Labels, Created: i.Created}
	if i.Name != nil {
		m.Name = *i.Name
	}
	return m
}

func (i *image) subject() Subject { return Subject{ID: i.ID, Type: "image"} }

// StoredImage is a snapshot or a backup of a server. The lab copies no disk: its
// machines begin again from the base image of the server that it was made from.
type StoredImage struct {
	Image image  `json:"image"`
	OS    string `json:"os"`
}

// Ids of the lab's images.
const (
	ImageDebian = 310557660
	ImageNixOS  = 310557661
	// ImageDeprecated is in lists only when deprecated ones are asked for.
	ImageDeprecated = 45557056
)

// catalogImages are those that were not made from the lab's servers.
func catalogImages() []*image {
	debian, old, version, oldVersion, size := "debian-13", "debian-11", "13", "11", 0.4
	created := time.Date(2025, 8, 9, 12, 0, 0, 0, time.UTC)
	announced := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	unprotected := map[string]bool{"delete": false}
	return []*image{
		{
			ID: ImageDebian, Type: imageSystem, Status: imageAvailable, Name: &debian, Description: "Debian 13", DiskSize: 5, Created: created,
			OSFlavor: "debian", OSVersion: &version, Architecture: "x86", RapidDeploy: true, Protection: unprotected, Labels: map[string]string{},
		},
		{
			ID: ImageNixOS, Type: imageSnapshot, Status: imageAvailable, Description: "NixOS (lab)", ImageSize: &size, DiskSize: 40, Created: created,
			CreatedFrom: &imageSource{1, "nixos"}, OSFlavor: "unknown", Architecture: "x86", Protection: unprotected, Labels: map[string]string{"os": "nixos"},
		},
		{
			ID: ImageDeprecated, Type: imageSystem, Status: imageAvailable, Name: &old, Description: "Debian 11", DiskSize: 5, Created: created.AddDate(-4, 0, 0),
			OSFlavor: "debian", OSVersion: &oldVersion, Architecture: "x86", Protection: unprotected, Labels: map[string]string{},
			Deprecated: &announced, Deprecation: &end{announced, announced.AddDate(5, 0, 0)},
		},
	}
}

// images are the catalog's and then those that were made from servers.
func (o *objects) images() []*image {
	all := catalogImages()
	for _, stored := range o.Images {
		all = append(all, &stored.Image)
	}
	return all
}

func (o *objects) stored(id int64) *StoredImage {
	for _, stored := range o.Images {
		if stored.Image.ID == id {
			return stored
		}
	}
	return nil
}

// base is which of the lab's base images an image stands for.
func (o *objects) base(i *image) string {
	if stored := o.stored(i.ID); stored != nil {
		return stored.OS
	}
	if i.ID == ImageNixOS {
		return "nixos"
	}
	return i.OSFlavor
}

// findImage gives an image that a disk of so many GB can be made from.
func (o *objects) findImage(wanted ref, architecture string, disk int) (*image, error) {
	img, ok := lookUp(o.images(), wanted)
	switch {
	case !ok:
		return nil, invalid("image", "image not found")
	case img.Architecture != architecture:
		return nil, invalid("image", "image is for %s, the server type for %s", img.Architecture, architecture)
	case img.Status != imageAvailable:
		return nil, invalid("image", "image is %s", img.Status)
	case img.DiskSize > float64(disk):
		return nil, invalid("image", "image needs a disk of %g GB, the server's has %d GB", img.DiskSize, disk)
	}
	return img, nil
}

func imageKind() kind[*image] {
	return kind[*image]{
		one: "image", many: "images",
		all:  func(o *objects) []*image { return o.images() },
		show: func(_ *objects, v *image) any { return *v },
		match: map[string]func(*image, string) bool{
			"type":         func(i *image, want string) bool { return i.Type == want },
			"status":       func(i *image, want string) bool { return i.Status == want },
			"architecture": func(i *image, want string) bool { return i.Architecture == want },
			"bound_to":     func(i *image, want string) bool { return i.BoundTo != nil && strconv.FormatInt(*i.BoundTo, 10) == want },
		},
		hidden: func(q *request, v *image) bool {
			return v.Deprecation != nil && q.query.Get("include_deprecated") != "true"
		},
		busy: func(q *request, v *image) error {
			if q.obj.stored(v.ID) == nil {
				return fail(http.StatusForbidden, "forbidden", "image "+strconv.FormatInt(v.ID, 10)+" is not the project's to change")
			}
			return q.unlocked(v.subject())
		},
		update: updateImage,
		remove: func(q *request, v *image) (reply, error) {
			if v.Protection["delete"] {
				return reply{}, protected("the image is protected from deletion")
			}
			q.obj.Images = without(q.obj.Images, q.obj.stored(v.ID))
			return reply{status: http.StatusNoContent}, nil
		},
		actions: map[string]func(*request, *image) (reply, error){"change_protection": protectImage},
	}
}

// updateImage changes the description and, what kind.change cannot do as an
// image is not built on Meta, the labels. A backup can be made a snapshot.
func updateImage(q *request, v *image) error {
	var body struct {
		Description *string            `json:"description"`
		Type        *string            `json:"type"`
		Labels      *map[string]string `json:"labels"`
	}
	if err := q.decode(&body); err != nil {
		return err
	}
	if body.Type != nil {
		if *body.Type != imageSnapshot {
			return invalid("type", "can only become snapshot, not %q", *body.Type)
		}
		v.Type, v.BoundTo = imageSnapshot, nil
	}
	if body.Description != nil {
		v.Description = *body.Description
	}
	if body.Labels != nil {
		v.Labels = *body.Labels
	}
	return nil
}

func protectImage(q *request, v *image) (reply, error) {
	var body struct {
		Delete *bool `json:"delete"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if v.Type == imageBackup {
		return reply{}, refused("backups cannot be protected")
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "change_protection", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil && body.Delete != nil {
				v.Protection = map[string]bool{"delete": *body.Delete}
			}
		},
	})), nil
}

// dropBackups deletes a server's backups.
func (o *objects) dropBackups(s *Server) {
	for _, stored := range o.Images {
		if b := stored.Image.BoundTo; b != nil && *b == s.ID {
			o.Images = without(o.Images, stored)
		}
	}
}

// createImage makes a snapshot or a backup of a server, running or not.
func createImage(q *request, s *Server) (reply, error) {
	var body struct {
		Type        *string           `json:"type"`
		Description *string           `json:"description"`
		Labels      map[string]string `json:"labels"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if err := checkLabels(body.Labels); err != nil {
		return reply{}, err
	}
	i := image{
		ID: q.obj.newID(), Type: imageSnapshot, Status: imageCreating, DiskSize: float64(s.Disk), Created: q.now(),
		CreatedFrom: &imageSource{s.ID, s.Name}, OSFlavor: "unknown", Protection: map[string]bool{"delete": false}, Labels: body.Labels,
	}
	if body.Type != nil {
		i.Type = *body.Type
	}
	switch {
	case i.Type != imageSnapshot && i.Type != imageBackup:
		return reply{}, invalid("type", "must be snapshot or backup, not %q", i.Type)
	case i.Type == imageBackup && !s.Backups:
		return reply{}, refused("backups are not enabled for server %s", s.Name)
	case i.Type == imageBackup:
		owner := s.ID
		i.BoundTo = &owner
	}
	if i.Labels == nil {
		i.Labels = map[string]string{}
	}
	if body.Description != nil {
		i.Description = *body.Description
	}
	if typ, ok := lookUp(serverTypes(), ref{name: s.ServerType}); ok {
		i.Architecture = typ.Architecture
	}
	if source, ok := lookUp(q.obj.images(), ref{id: s.ImageID}); ok {
		i.OSFlavor, i.OSVersion = source.OSFlavor, source.OSVersion
	}
	stored := &StoredImage{Image: i, OS: s.Image}
	q.obj.Images = append(q.obj.Images, stored)
	rep := actionReply(http.StatusCreated, q.begin(job{
		command: "create_image", about: []Subject{s.subject(), i.subject()}, locks: []Subject{s.subject(), i.subject()},
		done: func(o *objects, err error) {
			if err != nil {
				o.Images = without(o.Images, stored)
				return
			}
			size := float64(snapshotGB)
			stored.Image.Status, stored.Image.ImageSize = imageAvailable, &size
		},
	}))
	rep.body.(map[string]any)["image"] = i
	return rep, nil
}
