package toolkit

import (
	"net/netip"
	"testing"
)

func TestPublicAddresses(t *testing.T) {
	public := []string{"8.8.8.8", "1.1.1.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2400:cb00::1"}
	special := []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
		"::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "64:ff9b::8.8.8.8", "64:ff9b:1::1",
		"::ffff:127.0.0.1", "::127.0.0.1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "4000::1",
	}
	for _, text := range public {
		if !isPublic(netip.MustParseAddr(text).Unmap()) {
			t.Errorf("%s is not public", text)
		}
	}
	for _, text := range special {
		if isPublic(netip.MustParseAddr(text).Unmap()) {
			t.Errorf("%s is public", text)
		}
	}
	if isPublic(netip.Addr{}) {
		t.Error("no address is public")
	}
}
