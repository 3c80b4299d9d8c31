/** What `ip OBJECT help` says: the commands and words that are understood here, in our words; the real one's lists are longer. */

const LINES: Readonly<Record<string, readonly string[]>> = {
  link: [
    'add [link DEV] [name] NAME [mtu N] [address MAC] [master DEV] [netns NS] type TYPE [ARGS]', 'delete DEV',
    'set DEV { up | down | name NEW | mtu N | address MAC | master DEV | nomaster | netns NS | alias TEXT |', '            txqueuelen N | { promisc | arp | multicast } { on | off } }', 'show [DEV] [up] [master DEV] [type TYPE]',
  ],
  address: ['{ add | replace | delete } ADDRESS[/PREFIX] [broadcast { ADDRESS | + }] [scope SCOPE] [label NAME] dev DEV', 'flush dev DEV', 'show [DEV] [scope SCOPE] [up] [master DEV] [type TYPE]'],
  route: [
    '{ add | replace | append | delete } [unreachable | blackhole | prohibit] PREFIX [via ADDRESS] [dev DEV] [src ADDRESS]', '            [metric N] [table TABLE] [proto NAME] [scope SCOPE] [onlink]', 'get ADDRESS [from ADDRESS] [iif DEV] [oif DEV]',
    'flush PREFIX', 'show [PREFIX] [dev DEV] [table TABLE]',
  ],
  neigh: ['{ add | replace | delete } ADDRESS [lladdr MAC] [nud STATE] dev DEV', 'flush dev DEV', 'show [dev DEV]'],
  rule: ['{ add | delete } [not] [from PREFIX] [to PREFIX] [iif DEV] [oif DEV] [fwmark N] [priority N] [table TABLE]', 'flush', 'show'],
  netns: ['add NAME', 'attach NAME PID', 'delete NAME', 'exec NAME COMMAND ...', 'identify [PID]', 'pids NAME', 'list'],
};
const TYPES = 'TYPE := { bridge | dummy | macvlan | veth | vlan | vxlan }';

export function usageOf(object: string): string {
  const rows = LINES[object]!.map((line, n) => (line.startsWith(' ') ? line : `${n === 0 ? 'Usage:' : '      '} ip ${object} ${line}`));
  return [...rows, ...(object === 'link' ? [TYPES] : [])].join('\n');
}
