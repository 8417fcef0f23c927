package terraform

import (
	"crypto/md5"  //nolint:gosec // a function of Terraform's, not used to protect anything
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

var errNotText = errors.New("the result is not text in UTF-8")

func textFunctions() map[string]function.Function {
	text := func(f func(string) (string, error)) function.Function {
		return pure(cty.String, []function.Parameter{{Name: "text", Type: cty.String}}, func(args []cty.Value) (cty.Value, error) {
			s, err := f(args[0].AsString())
			return cty.StringVal(s), err
		})
	}
	test := func(f func(s, part string) bool) function.Function {
		return pure(cty.Bool, []function.Parameter{{Name: "text", Type: cty.String}, {Name: "part", Type: cty.String}}, func(args []cty.Value) (cty.Value, error) {
			return cty.BoolVal(f(args[0].AsString(), args[1].AsString())), nil
		})
	}
	digest := func(f func([]byte) []byte, encode func([]byte) string) function.Function {
		return text(func(s string) (string, error) { return encode(f([]byte(s))), nil })
	}
	md5Sum := func(b []byte) []byte { d := md5.Sum(b); return d[:] }   //nolint:gosec // as above
	sha1Sum := func(b []byte) []byte { d := sha1.Sum(b); return d[:] } //nolint:gosec // as above
	sha256Sum := func(b []byte) []byte { d := sha256.Sum256(b); return d[:] }
	sha512Sum := func(b []byte) []byte { d := sha512.Sum512(b); return d[:] }
	b64 := base64.StdEncoding.EncodeToString
	return map[string]function.Function{
		"startswith": test(strings.HasPrefix), "endswith": test(strings.HasSuffix), "strcontains": test(strings.Contains),
		"md5": digest(md5Sum, hex.EncodeToString), "sha1": digest(sha1Sum, hex.EncodeToString),
		"sha256": digest(sha256Sum, hex.EncodeToString), "sha512": digest(sha512Sum, hex.EncodeToString),
		"base64sha256": digest(sha256Sum, b64), "base64sha512": digest(sha512Sum, b64),
		"base64encode": text(func(s string) (string, error) { return b64([]byte(s)), nil }),
		"base64decode": text(func(s string) (string, error) {
			b, err := base64.StdEncoding.DecodeString(s)
			if err == nil && !utf8.Valid(b) {
				err = errNotText
			}
			return string(b), err
		}),
		"urlencode": text(func(s string) (string, error) { return url.QueryEscape(s), nil }),
	}
}

func addressFunctions() map[string]function.Function {
	prefix := function.Parameter{Name: "prefix", Type: cty.String}
	number := func(name string) function.Parameter { return function.Parameter{Name: name, Type: cty.Number} }
	return map[string]function.Function{
		"cidrhost": pure(cty.String, []function.Parameter{prefix, number("host")}, func(args []cty.Value) (cty.Value, error) {
			p, n, err := prefixAndNumber(args[0], args[1])
			if err != nil {
				return cty.NilVal, err
			}
			a, err := hostOf(p, n)
			return cty.StringVal(a), err
		}),
		"cidrnetmask": pure(cty.String, []function.Parameter{prefix}, func(args []cty.Value) (cty.Value, error) {
			p, err := netip.ParsePrefix(args[0].AsString())
			if err != nil || !p.Addr().Is4() {
				return cty.NilVal, errors.New("an IPv4 range is needed")
			}
			mask := ^uint32(0) << (32 - p.Bits())
			return cty.StringVal(netip.AddrFrom4([4]byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8), byte(mask)}).String()), nil //nolint:gosec // cut on purpose
		}),
		"cidrsubnet": pure(cty.String, []function.Parameter{prefix, number("newbits"), number("netnum")}, func(args []cty.Value) (cty.Value, error) {
			p, bits, err := prefixAndNumber(args[0], args[1])
			if err != nil {
				return cty.NilVal, err
			}
			n, acc := args[2].AsBigFloat().Int(nil)
			if acc != big.Exact {
				return cty.NilVal, errNotWhole
			}
			s, err := subnetOf(p, bits, n)
			return cty.StringVal(s), err
		}),
		"cidrsubnets": function.New(&function.Spec{
			Params:   []function.Parameter{prefix},
			VarParam: &function.Parameter{Name: "newbits", Type: cty.Number},
			Type:     function.StaticReturnType(cty.List(cty.String)),
			Impl:     func(args []cty.Value, _ cty.Type) (cty.Value, error) { return subnetsOf(args) },
		}),
	}
}

var errNotWhole = errors.New("a whole number is needed")

func prefixAndNumber(prefix, number cty.Value) (netip.Prefix, *big.Int, error) {
	p, err := netip.ParsePrefix(prefix.AsString())
	if err != nil {
		return p, nil, fmt.Errorf("%q is not an IP range", prefix.AsString())
	}
	n, acc := number.AsBigFloat().Int(nil)
	if acc != big.Exact {
		return p, nil, errNotWhole
	}
	return p.Masked(), n, nil
}

// hostOf is the address number n of a range, from its end when n is negative.
func hostOf(p netip.Prefix, n *big.Int) (string, error) {
	size := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits())) //nolint:gosec // at most 128
	if n.Sign() < 0 {
		n = new(big.Int).Add(size, n)
	}
	if n.Sign() < 0 || n.Cmp(size) >= 0 {
		return "", fmt.Errorf("%s has no address of that number", p)
	}
	return offset(p.Addr(), n).String(), nil
}

func subnetOf(p netip.Prefix, bits, n *big.Int) (string, error) {
	if !bits.IsInt64() || bits.Sign() < 0 || bits.Int64() > int64(p.Addr().BitLen()-p.Bits()) {
		return "", fmt.Errorf("%s cannot be divided that far", p)
	}
	width := int(bits.Int64())
	length := p.Bits() + width
	count := new(big.Int).Lsh(big.NewInt(1), uint(width)) //nolint:gosec // checked above
	if n.Sign() < 0 {
		n = new(big.Int).Add(count, n)
	}
	if n.Sign() < 0 || n.Cmp(count) >= 0 {
		return "", fmt.Errorf("%s has no part of that number", p)
	}
	start := offset(p.Addr(), new(big.Int).Lsh(n, uint(p.Addr().BitLen()-length))) //nolint:gosec // checked above
	return netip.PrefixFrom(start, length).String(), nil
}

// subnetsOf places ranges one behind the other, each where its size allows.
func subnetsOf(args []cty.Value) (cty.Value, error) {
	if len(args) == 1 {
		return cty.ListValEmpty(cty.String), nil
	}
	var out []cty.Value
	next := new(big.Int)
	for _, a := range args[1:] {
		p, bits, err := prefixAndNumber(args[0], a)
		if err != nil {
			return cty.NilVal, err
		}
		if !bits.IsInt64() || bits.Sign() <= 0 || bits.Int64() > int64(p.Addr().BitLen()-p.Bits()) {
			return cty.NilVal, fmt.Errorf("%s cannot be divided that far", p)
		}
		size := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()-int(bits.Int64()))) //nolint:gosec // checked above
		if rest := new(big.Int).Mod(next, size); rest.Sign() != 0 {
			next.Add(next, new(big.Int).Sub(size, rest))
		}
		whole := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits())) //nolint:gosec // at most 128
		if new(big.Int).Add(next, size).Cmp(whole) > 0 {
			return cty.NilVal, fmt.Errorf("%s is too small for all of them", p)
		}
		out = append(out, cty.StringVal(netip.PrefixFrom(offset(p.Addr(), next), p.Bits()+int(bits.Int64())).String()))
		next.Add(next, size)
	}
	return cty.ListVal(out), nil
}

func offset(a netip.Addr, n *big.Int) netip.Addr {
	sum := new(big.Int).SetBytes(a.AsSlice())
	sum.Add(sum, n)
	raw := make([]byte, a.BitLen()/8)
	b := sum.Bytes()
	if len(b) > len(raw) {
		b = b[len(b)-len(raw):]
	}
	copy(raw[len(raw)-len(b):], b)
	out, _ := netip.AddrFromSlice(raw)
	return out
}
