import { BlockList, isIP, isIPv6 } from 'node:net'

/*
 * A registration says where the server shall call, and whoever may register could so make the server call anything it can
 * reach. Every address is judged after its name was resolved, just before connecting: a name that means another address the
 * second time gains nothing.
 */

/** What an operator writes in HOST_NETWORKS: names of these groups, or networks such as 10.20.0.0/16. */
const groups = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'],
  'link-local': ['169.254.0.0/16', 'fe80::/10'],
} as const

/** Never the address of a host: this network, multicast, broadcast, and where clouds answer with the credentials of a machine. */
const never = [
  '0.0.0.0/8',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  'ff00::/8',
  '169.254.169.254/32',
  '169.254.170.2/32',
  '100.100.100.200/32',
  'fd00:ec2::254/128',
]

export type AddressRules = (address: string) => boolean

/** Throws for a word that is neither a group nor a network. */
export function createAddressRules(words: readonly string[]): AddressRules {
  const refused = listOf(never)
  const special = listOf(Object.values(groups).flat())
  const allowed = new BlockList()
  for (const word of words) {
    if (word === 'public') continue
    const networks: readonly string[] = word in groups ? groups[word as keyof typeof groups] : [word]
    for (const network of networks) addNetwork(allowed, network)
  }
  const allowsPublic = words.includes('public')
  return (given) => {
    const address = plainAddress(given)
    if (isIP(address) === 0 || has(refused, address)) return false
    return has(allowed, address) || (allowsPublic && !has(special, address))
  }
}

const has = (list: BlockList, address: string): boolean => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) addNetwork(list, network)
  return list
}

function addNetwork(list: BlockList, network: string): void {
  const match = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(network)
  const address = match?.[1] ?? ''
  const family = isIP(address)
  const width = family === 6 ? 128 : 32
  const bits = Number(match?.[2] ?? width)
  if (family === 0 || bits > width) throw new Error('network')
  list.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4')
}

/** IPv4 written as IPv6 (mapped, compatible, or through a translator) is judged as the IPv4 address it reaches. */
function plainAddress(given: string): string {
  const address = given.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
  if (!isIPv6(address)) return address
  // The URL parser writes every form of an IPv6 address in one way.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const embedded = /^(?:::ffff:|::|64:ff9b::)([\da-f]{1,4}):([\da-f]{1,4})$/.exec(text)
  if (!embedded) return text
  const [high, low] = [Number.parseInt(embedded[1] ?? '', 16), Number.parseInt(embedded[2] ?? '', 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
