package cloud_test

import (
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

func TestSSHKeys(t *testing.T) {
	f := start(t, cloud.Options{})
	key, _, err := f.SSHKey.Create(f.ctx, hcloud.SSHKeyCreateOpts{Name: "me", PublicKey: publicKey(t, 1) + " me@home\n", Labels: map[string]string{"a": "b"}})
	f.must(err)
	if key.ID == 0 || key.Labels["a"] != "b" || key.Created.IsZero() || len(key.Fingerprint) != 47 {
		t.Errorf("created key is %+v", key)
	}
	byFingerprint, _, err := f.SSHKey.GetByFingerprint(f.ctx, key.Fingerprint)
	f.must(err)
	byName, _, err := f.SSHKey.GetByName(f.ctx, "me")
	f.must(err)
	if byFingerprint == nil || byName == nil || byFingerprint.ID != key.ID || byName.ID != key.ID {
		t.Errorf("found by fingerprint %+v, by name %+v", byFingerprint, byName)
	}
	for name, opts := range map[string]struct {
		hcloud.SSHKeyCreateOpts
		code hcloud.ErrorCode
	}{
		"same name":        {hcloud.SSHKeyCreateOpts{Name: "me", PublicKey: publicKey(t, 2)}, hcloud.ErrorCodeUniquenessError},
		"same key":         {hcloud.SSHKeyCreateOpts{Name: "you", PublicKey: publicKey(t, 1)}, hcloud.ErrorCodeUniquenessError},
		"no key":           {hcloud.SSHKeyCreateOpts{Name: "you", PublicKey: "ssh-ed25519 AAAA"}, hcloud.ErrorCodeInvalidInput},
		"two keys":         {hcloud.SSHKeyCreateOpts{Name: "you", PublicKey: publicKey(t, 3) + "\n" + publicKey(t, 4)}, hcloud.ErrorCodeInvalidInput},
		"bad label":        {hcloud.SSHKeyCreateOpts{Name: "you", PublicKey: publicKey(t, 5), Labels: map[string]string{"a": "b c"}}, hcloud.ErrorCodeInvalidInput},
		"label's own name": {hcloud.SSHKeyCreateOpts{Name: "you", PublicKey: publicKey(t, 6), Labels: map[string]string{"hetzner.cloud/x": ""}}, hcloud.ErrorCodeInvalidInput},
	} {
		_, _, err := f.SSHKey.Create(f.ctx, opts.SSHKeyCreateOpts)
		if !hcloud.IsError(err, opts.code) {
			t.Errorf("%s: %v, want %s", name, err, opts.code)
		}
	}
	changed, _, err := f.SSHKey.Update(f.ctx, key, hcloud.SSHKeyUpdateOpts{Name: "mine"})
	f.must(err)
	if changed.Name != "mine" || changed.Labels["a"] != "b" {
		t.Errorf("after a new name: %+v", changed)
	}
	changed, _, err = f.SSHKey.Update(f.ctx, key, hcloud.SSHKeyUpdateOpts{Labels: map[string]string{}})
	f.must(err)
	if changed.Name != "mine" || len(changed.Labels) != 0 {
		t.Errorf("after an empty set of labels: %+v", changed)
	}
	_, err = f.SSHKey.Delete(f.ctx, key)
	f.must(err)
	_, err = f.SSHKey.Delete(f.ctx, key)
	f.wantCode(err, hcloud.ErrorCodeNotFound)
	if gone, _, err := f.SSHKey.GetByID(f.ctx, key.ID); err != nil || gone != nil {
		t.Errorf("a deleted key is read as %+v, %v", gone, err)
	}
}

func TestPlacementGroupIsALock(t *testing.T) {
	f := start(t, cloud.Options{})
	opts := hcloud.PlacementGroupCreateOpts{Name: "lock", Type: hcloud.PlacementGroupTypeSpread, Labels: map[string]string{"run": "1"}}
	result, _, err := f.PlacementGroup.Create(f.ctx, opts)
	f.must(err)
	if result.Action != nil {
		t.Errorf("create answers with action %+v", result.Action)
	}
	_, _, err = f.PlacementGroup.Create(f.ctx, opts)
	f.wantCode(err, hcloud.ErrorCodeUniquenessError)
	_, err = f.PlacementGroup.Delete(f.ctx, result.PlacementGroup)
	f.must(err)
	_, _, err = f.PlacementGroup.Create(f.ctx, opts)
	f.must(err)
}
