/** arp of net-tools, and ethtool: the neighbours of this namespace, and what its links say of themselves. Source: arp(8), ethtool(8) 6.14. */
import { SysError } from '../../kernel/abi.ts';
import type { LinkInfo } from '../../kernel/net/rtnetlink.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { parseOptions } from '../lib/args.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { ipNumber } from './addresses.ts';
import { nameOf } from './names.ts';

interface Row {
  address: string;
  dev: string;
  mac: string;
  state: string;
}

export const arp: Program = command(function* (argv) {
  const options = parseOptions('a n v e i= d/delete s/set D H=', argv.slice(1));
  const { on, words } = options;
  const dev = options.values.get('i')?.at(-1);
  if (on.has('delete') || on.has('set')) {
    const [address = '', mac = ''] = words;
    if (ipNumber(address) === null) throw new Failed(address === '' ? 'need host name' : `${address}: Unknown host`, 255);
    if (on.has('set') && !/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(mac)) throw new Failed(mac === '' ? 'need hardware address' : 'invalid hardware address', 255);
    const all = (yield* sys('netlink', { type: 'neigh.list' })) as Row[];
    const link = dev ?? all.find((one) => one.address === address)?.dev ?? ((yield* sys('netlink', { type: 'route.get', to: address })) as { dev: string }).dev;
    try {
      yield* sys('netlink', on.has('set') ? { type: 'neigh.add', address, mac, dev: link } : { type: 'neigh.del', address, dev: link });
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      if (error.errno === 'ENOENT') {
        yield* print(`No ARP entry for ${address}\n`);
        return 255;
      }
      throw new Failed(`${on.has('set') ? 'SIOCSARP' : 'SIOCDARP(dontpub)'}: ${strerror(error)}`, 255);
    }
    return 0;
  }
  const rows = ((yield* sys('netlink', { type: 'neigh.list' })) as Row[]).filter((one) => (dev === undefined || one.dev === dev) && (words[0] === undefined || one.address === words[0]));
  if (words[0] !== undefined && rows.length === 0) {
    yield* print(`${words[0]} (${words[0]}) -- no entry\n`);
    return 0;
  }
  if (rows.length > 0 && !on.has('a')) yield* print('Address                  HWtype  HWaddress           Flags Mask            Iface\n');
  for (const { address, dev: link, mac, state } of rows) {
    const name = on.has('n') ? null : yield* nameOf(address);
    const flags = state === 'PERMANENT' ? 'CM' : 'C';
    if (on.has('a')) yield* print(`${name ?? '?'} (${address}) at ${mac ? `${mac} [ether]${state === 'PERMANENT' ? ' PERM' : ''}` : '<incomplete>'} on ${link}\n`);
    else if (mac === '') yield* print(`${(name ?? address).padEnd(23)}          (incomplete)                              ${link}\n`);
    else yield* print(`${(name ?? address).padEnd(23)}  ether   ${mac.padEnd(18)}  ${flags.padEnd(20)}  ${link}\n`);
  }
  return 0;
});

const DRIVERS: Readonly<Record<string, [driver: string, version: string]>> = {
  veth: ['veth', '1.0'], bridge: ['bridge', '2.3'], dummy: ['dummy', ''], vxlan: ['vxlan', '0.1'], vlan: ['802.1Q VLAN Support', '1.8'], macvlan: ['macvlan', '0.1'], ether: ['virtio_net', '1.0.0'],
};

export const ethtool: Program = command(function* (argv) {
  const [first = '', second] = argv.slice(1);
  const option = first.startsWith('-') ? first : '';
  const name = option === '' ? first : (second ?? '');
  if (name === '') throw new Failed('bad command line argument(s)\nFor more information run ethtool -h', 1);
  const found = ((yield* sys('netlink', { type: 'link.list' })) as LinkInfo[]).find((one) => one.name === name);
  const driver = found ? DRIVERS[found.kind] : undefined;
  switch (option) {
    case '':
      if (!found) {
        yield* complain('netlink error: No such device\n');
        return 75;
      }
      yield* print(`Settings for ${name}:\n${found.kind === 'veth' ? '\tSupported ports: [  ]\n\tSupported link modes:   Not reported\n\tSupported pause frame use: No\n\tSupports auto-negotiation: No\n\tSupported FEC modes: Not reported\n\tAdvertised link modes:  Not reported\n\tAdvertised pause frame use: No\n\tAdvertised auto-negotiation: No\n\tAdvertised FEC modes: Not reported\n\tSpeed: 10000Mb/s\n\tDuplex: Full\n\tAuto-negotiation: off\n\tPort: Twisted Pair\n\tPHYAD: 0\n\tTransceiver: internal\n\tMDI-X: Unknown\n' : ''}\tLink detected: ${found.up && found.carrier ? 'yes' : 'no'}\n`);
      return 0;
    case '-i': case '--driver':
      if (!driver) {
        yield* complain(`Cannot get driver information: ${found ? 'Operation not supported' : 'No such device'}\n`);
        return 71;
      }
      yield* print(`driver: ${driver[0]}\nversion: ${driver[1]}\nfirmware-version: ${found!.kind === 'bridge' || found!.kind === 'vlan' ? 'N/A' : ''}\nexpansion-rom-version: \nbus-info: ${found!.kind === 'bridge' ? 'N/A' : ''}\nsupports-statistics: ${found!.kind === 'veth' ? 'yes' : 'no'}\nsupports-test: no\nsupports-eeprom-access: no\nsupports-register-dump: no\nsupports-priv-flags: no\n`);
      return 0;
    case '-S': case '--statistics':
      if (found?.kind !== 'veth') {
        yield* complain(found ? 'no stats available\n' : 'Cannot get stats strings information: No such device\n');
        return found ? 94 : 96;
      }
      yield* print(`NIC statistics:\n     peer_ifindex: ${found.peerIndex ?? 0}\n`);
      return 0;
    default:
      throw new Failed(`not modelled: ethtool ${option}`, 1);
  }
});
