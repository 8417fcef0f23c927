package nix

import "testing"

func TestTold(t *testing.T) {
	const hash = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-"
	for in, want := range map[string]string{
		"building '" + hash + "nginx.conf.drv'...":                         "building nginx.conf",
		"copying path '" + hash + "curl-8' from 'https://cache'...":        "copying path curl-8",
		"these 8 derivations will be built:":                               "",
		"this derivation will be built:":                                   "",
		"  " + hash + "etc.drv":                                            "",
		"waiting for lock on '" + hash + "etc'...":                         "",
		"cc -o hello hello.c":                                              "cc -o hello hello.c",
		"building '/nix/store/odd'...":                                     "building '/nix/store/odd'...",
		"error: builder for '" + hash + "etc.drv' failed with exit code 1": "error: builder for '" + hash + "etc.drv' failed with exit code 1",
	} {
		if got := told(in); got != want {
			t.Errorf("told(%q) = %q, want %q", in, got, want)
		}
	}
}
