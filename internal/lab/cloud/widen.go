package cloud

import (
	"net/http"
)

// widenNetwork is change_ip_range: the same first address, a shorter mask.
func widenNetwork(q *request, v *Network) (reply, error) {
	var body struct {
		IPRange string `json:"ip_range"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	wide, err := privateRange(body.IPRange)
	if err != nil {
		return reply{}, err
	}
	if wide.Addr() != v.IPRange.Addr() || wide.Bits() >= v.IPRange.Bits() {
		return reply{}, invalid("ip_range", "%s does not extend %s", wide, v.IPRange)
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "change_ip_range", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.IPRange = wide
			}
		},
	})), nil
}
