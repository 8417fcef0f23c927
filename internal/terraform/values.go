package terraform

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// textOf is a known text or number.
func textOf(v cty.Value) (string, bool) {
	if v == cty.NilVal {
		return "", false
	}
	v, marks := v.Unmark()
	if _, secret := marks[sensitiveMark{}]; secret || !v.IsKnown() || v.IsNull() {
		return "", false
	}
	switch {
	case v.Type() == cty.String:
		return v.AsString(), true
	case v.Type() == cty.Number && plain(v):
		return v.AsBigFloat().Text('f', -1), true
	}
	return "", false
}

func (b *builder) gap(r *record, attr, what, instead string) {
	b.in.gap(r.place(attr), r.owner.address, what, instead)
}

// leave notes that an instance is not in the fleet; where it was said already
// what is wrong with the attribute, it is said there.
func (b *builder) leave(i *instance, attr, what, instead string) {
	if it := b.items[i]; it != nil {
		it.left = true
	}
	at := position(i.place(attr))
	for n, g := range b.in.gaps {
		if attr != "" && g.At == at && g.Address == printable(i.address) {
			b.in.gaps[n].What += "; so it is left out"
			return
		}
	}
	b.gap(&i.record, attr, what+", so it is left out", instead)
}

// value gives an attribute that can be written into a file; false when it
// cannot, which is noted.
func (b *builder) value(r *record, attr string) (cty.Value, bool) {
	return b.writable(r, attr, join(r.path, attr), r.attrs[attr])
}

// writable is value for a part of an attribute, with its name.
func (b *builder) writable(r *record, attr, name string, v cty.Value) (cty.Value, bool) {
	what := name + " is not carried over: "
	if sensitive(v) {
		b.gap(r, attr, what+"it is made of sensitive values, which do not belong in flotilla.yaml", "Keep secrets in sops files of the hosts.")
		return v, false
	}
	bare, _ := v.UnmarkDeep()
	if !bare.IsWhollyKnown() {
		m := why(v)
		b.gap(r, attr, what+m.why, m.instead)
		return bare, false
	}
	leaked := ""
	_ = cty.Walk(bare, func(_ cty.Path, e cty.Value) (bool, error) {
		if e.Type() == cty.String && e.IsKnown() && !e.IsNull() {
			if of, is := b.in.values.leak(e.AsString()); is {
				leaked = of
			}
		}
		return true, nil
	})
	if leaked != "" {
		b.gap(r, attr, what+"it holds an ID or address of "+leaked+", which is known only once that is made", "Import with --state terraform.tfstate, or write the value itself.")
		return bare, false
	}
	return bare, true
}

// text gives an attribute as text, "" for none.
func (b *builder) text(r *record, attr string) (string, bool) {
	v, ok := b.value(r, attr)
	if !ok || v.IsNull() {
		return "", ok
	}
	s, _ := textOf(v)
	return s, true
}

func (b *builder) number(r *record, attr string) (int, bool) {
	v, ok := b.value(r, attr)
	if !ok || v.IsNull() {
		return 0, ok
	}
	n, whole := wholeNumber(v)
	if !whole {
		b.gap(r, attr, join(r.path, attr)+" is not a whole number", "Correct it.")
	}
	return n, whole
}

// flag gives an attribute that is true or false; what is not known is false.
func (b *builder) flag(r *record, attr string) bool {
	v, ok := b.value(r, attr)
	return ok && !v.IsNull() && v.True()
}

func (b *builder) list(r *record, attr string) []string {
	v, ok := b.value(r, attr)
	if !ok || v.IsNull() {
		return nil
	}
	var out []string
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if s, ok := textOf(e); ok {
			out = append(out, s)
		}
	}
	return out
}

// labels gives the labels whose values are known; the others are noted.
func (b *builder) labels(r *record) map[string]string {
	v, marks := r.attrs["labels"].Unmark()
	if !v.IsKnown() || len(marks) > 0 {
		b.value(r, "labels")
		return nil
	}
	if v.IsNull() || v.LengthInt() == 0 {
		return nil
	}
	out := map[string]string{}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if e, ok := b.writable(r, "labels", "label "+k.AsString(), e); ok {
			out[k.AsString()], _ = textOf(e)
		}
	}
	return out
}

// protected is delete_protection, which prevent_destroy asks for as well.
func (b *builder) protected(i *instance) bool {
	on := b.flag(&i.record, "delete_protection")
	if at, prevented := prevented(i.resource.body); prevented && !on {
		b.in.gap(at, i.address, "prevent_destroy is delete_protection: true in the fleet, which the first deploy switches on at the provider", "Write delete_protection: false to leave it off.")
		on = true
	}
	return on
}

// unprotectable notes prevent_destroy of kinds without protection.
func (b *builder) unprotectable(i *instance) {
	if at, prevented := prevented(i.resource.body); prevented {
		b.in.gap(at, i.address, "prevent_destroy has no counterpart: the provider has no protection for this kind", "Nothing is destroyed without --allow-destroy NAME.")
	}
}

// refs gives the items that a list of IDs refers to.
func (b *builder) refs(r *record, attr, section string) []*item {
	v, _ := r.attrs[attr].Unmark()
	if !v.IsKnown() || v.IsNull() || !v.CanIterateElements() {
		if !v.IsKnown() {
			b.value(r, attr)
		}
		return nil
	}
	var out []*item
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if found := b.find(r, attr, section, e); found != nil && !slices.Contains(out, found) {
			out = append(out, found)
		}
	}
	return out
}

// ref gives the item that an ID refers to, nil for none or for one that is
// not in the fleet, which is noted.
func (b *builder) ref(r *record, attr, section string) *item {
	return b.find(r, attr, section, r.attrs[attr])
}

func (b *builder) find(r *record, attr, section string, v cty.Value) *item {
	bare, _ := v.Unmark()
	if bare.IsKnown() && bare.IsNull() {
		return nil
	}
	noun := strings.ReplaceAll(strings.TrimSuffix(section, "s"), "_", " ")
	id, ok := textOf(v)
	if !ok {
		m := why(v)
		b.gap(r, attr, join(r.path, attr)+" is not carried over: "+m.why, m.instead)
		return nil
	}
	if id == "" || id == "0" {
		return nil // as good as not written
	}
	it := b.byID[section][id]
	if of, made := b.in.values.ids[id]; made {
		it = b.items[of]
		if it == nil || it.section != section {
			b.gap(r, attr, fmt.Sprintf("%s is the ID of %s, not of a %s", join(r.path, attr), of.address, noun), "Correct it.")
			return nil
		}
	}
	if it == nil && section == sectionSSHKeys {
		it = b.keyByName(r, attr, id)
	}
	switch {
	case it == nil:
		b.gap(r, attr, fmt.Sprintf("%s refers to the %s %s, which neither the configuration nor the state knows", join(r.path, attr), noun, short(id)),
			"Declare it, or look it up with a data source by its name.")
		return nil
	case it.left:
		b.gap(r, attr, fmt.Sprintf("%s refers to %s, which is left out", join(r.path, attr), it.of.address), "")
		return nil
	}
	return it
}
