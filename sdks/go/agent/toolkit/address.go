package toolkit

import "net/netip"

// special are the networks within the public ranges that lead to something else, by the registries of special-purpose
// addresses (RFC 6890 and its successors) and what cloud providers put into public ones.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", // the host of a virtual machine, in one of the clouds
	"2001::/23",        // Teredo, ORCHID and other protocols
	"2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

// publicIPv6 is all that is given out of IPv6. NAT64, mapped, local and multicast addresses are outside of it.
var publicIPv6 = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// isPublic says whether an address, unmapped, leads to the public internet and nowhere else.
func isPublic(address netip.Addr) bool {
	if !address.IsValid() || address.Is6() && !publicIPv6.Contains(address) {
		return false
	}
	for _, network := range special {
		if network.Contains(address) {
			return false
		}
	}
	return true
}
