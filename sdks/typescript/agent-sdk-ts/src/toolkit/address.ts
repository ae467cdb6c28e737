/** An IP address as a number, with the width of its kind. */
interface Address {
  bits: 32 | 128;
  value: bigint;
}

/** Networks of IPv4 and of public IPv6 that are not public, by the registries of special-purpose addresses. */
const SPECIAL = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"],
  ...["198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"],
  "168.63.129.16/32", // the host of a virtual machine, in one of the clouds
  ...["2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"],
].map(networkOf);
const PUBLIC_IPV6 = networkOf("2000::/3");
const MAPPED = networkOf("::ffff:0:0/96");

/** Whether a text is an IP address; IPv6 without brackets. */
export function isAddress(text: string): boolean {
  return addressOf(text) !== undefined;
}

/** Whether an IP address can be reached by everybody. What cannot be read is not public. */
export function isPublicAddress(text: string): boolean {
  let address = addressOf(text);
  if (address === undefined) return false;
  if (contains(MAPPED, address)) address = { bits: 32, value: address.value & 0xffff_ffffn };
  if (address.bits === 128 && !contains(PUBLIC_IPV6, address)) return false;
  const plain = address;
  return !SPECIAL.some((network) => contains(network, plain));
}

type Network = Address & { prefix: number };

function networkOf(text: string): Network {
  const [address = "", prefix] = text.split("/");
  return { ...addressOf(address)!, prefix: Number(prefix) };
}

function contains(network: Network, { bits, value }: Address): boolean {
  const shift = BigInt(network.bits - network.prefix);
  return bits === network.bits && value >> shift === network.value >> shift;
}

function addressOf(text: string): Address | undefined {
  return text.includes(":") ? ipv6Of(text) : ipv4Of(text);
}

function ipv4Of(text: string): Address | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return { bits: 32, value: parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n) };
}

function ipv6Of(text: string): Address | undefined {
  const tail = text.slice(text.lastIndexOf(":") + 1);
  let plain = text;
  if (tail.includes(".")) {
    const last = ipv4Of(tail);
    if (last === undefined) return undefined;
    const hex = last.value.toString(16).padStart(8, "0");
    plain = `${text.slice(0, -tail.length)}${hex.slice(0, 4)}:${hex.slice(4)}`;
  }
  const halves = plain.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], rest = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<string>(missing).fill("0"), ...rest];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return { bits: 128, value: groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n) };
}
