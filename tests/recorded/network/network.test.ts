/** iproute2, iptables and ping as recorded, replayed in order on one machine: each command's output, errors and status. */
import { expect, it } from 'vitest';
import { normalTools } from './normal.ts';
import { type Recorded, readTranscript, replayTranscript, report } from '../transcripts.ts';

/** Of iproute2 6.1 and iptables 1.8.9 (Debian 12, Linux 6.18), where the others are 6.15 and 1.8.11: spaces, numbers of protocols and what newer kernels tell. */
function normalOlder(text: string): string {
  const names: Readonly<Record<string, string>> = { 0: 'all', 1: 'icmp', 6: 'tcp', 17: 'udp' };
  return normal(text)
    .replace(/ +$/gm, '')
    .replace(/v1\.8\.\d+/g, 'VERSION')
    .replace(/promiscuity (\d)  allmulti/g, 'promiscuity $1 allmulti')
    .replace(' udpcsum noudp6zerocsumtx noudp6zerocsumrx', '')
    .replace(/ gso_ipv4_max_size 65536 gro_ipv4_max_size 65536/g, '')
    .replace(/^(.{0,40}?)\b(0|1|6|17) +-- /gm, (_all, head: string, n: string) => `${head}${names[n]!.padEnd(4)} -- `);
}

/** What is not exactly as recorded, by how the line begins, and why. Every other line must be. */
const MISSES: readonly (readonly [begins: string, why: string])[] = [
  ['ip netns add c1; ip netns add c2; ip netns list', "the recorder's /run was a shared mount with other options, so each name was mounted twice there; its tmpfs lists the newest name first, ours in order"],
  ['ip netns exec c1 sh -c "while :; do echo hello', 'a race when it was recorded: its server was not listening again when the second client came, so that one got nothing'],
  ['iptables -t nat -L -n -v; iptables-save; nft list ruleset', 'nft(8) is not modelled'],
];

/** MAC addresses and what is made of them, times, dates; spaces at the ends of lines. */
function normal(text: string): string {
  return text
    .replace(/\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b/g, (mac) => (/^(00:){5}00$|^(ff:){5}ff$/.test(mac) ? mac : 'MAC'))
    .replace(/fe80::[0-9a-f:]+/g, 'LINKLOCAL')
    .replace(/time=[\d.]+ ms/g, 'time=T ms')
    .replace(/^rtt .*$/gm, 'rtt')
    .replace(/time \d+ms$/gm, 'time Tms')
    .replace(/\b(Jan|Nov) +\d+ \d\d:\d\d\b/g, 'DATE')
    .replace(/ on \w{3} \w{3} +\d+ [\d:]{8} \d{4}$/gm, ' on DATE')
    .replace(/ id=\d+/g, ' id=ID')
    .replace(/^(icmp +1|tcp +6) \d+/gm, '$1 LEFT')
    .replace(/(sport|dport)=[3-6]\d{4}/g, '$1=PORT');
}

/** The server of one line went on when its recording was stopped. */
function ended(line: Recorded): Recorded {
  return typeof line.exit === 'number' ? line : { ...line, exit: 0 };
}

it('the network recording', () => {
  const lines = readTranscript(new URL('./network.jsonl', import.meta.url)).map(ended);
  const result = replayTranscript({ scenario: 'recorded/network', lines, normal });
  report('network', result);
  const missed = result.differ.map((one) => MISSES.find(([begins]) => one.cmd.startsWith(begins))?.[0] ?? one.cmd);
  expect(missed).toEqual(MISSES.map(([begins]) => begins));
});

it('lines that each begin in namespaces of their own', () => {
  const lines = readTranscript(new URL('./fresh.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/network', lines, normal: normalOlder });
  report('network, fresh', result);
  expect(result.differ).toEqual([]);
  expect(result.exact).toBe(lines.length);
});

it('iproute2, iptables, ping and traceroute between namespaces joined by a router', () => {
  const lines = readTranscript(new URL('./tools.jsonl', import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/network', lines, normal: (text) => normal(text).replace(/[\d.]+ ms\b/g, 'T ms').replace(/after \d+ ms/g, 'after T ms') });
  report('network, tools', result);
  expect(result.differ).toEqual([]);
});

it('sockets, curl, addresses, routes and rules between two namespaces', () => {
  const lines = readTranscript(new URL('./hands.jsonl', import.meta.url));
  const sure = (text: string): string => normal(text).replace(/\b[\d.]+ ms\b/g, 'T ms').replace(/\bT ms: /g, 'T ms: ').replace(/after \d+ ms/g, 'after T ms').replace(/[\d.]+ms\b/g, 'Tms').replace(/:[3-6]\d{4}\b/g, ':PORT');
  const result = replayTranscript({ scenario: 'recorded/network', lines, normal: sure, detached: true });
  report('network, by hand', result);
  const late = result.differ.map((one) => one.cmd).filter((cmd) => !cmd.includes('http.server 8000'));
  // the recorded server was slow to begin
  expect(late).toEqual([]);
});

it.each([['options', 'options, filters and refusals one at a time'], ['mixed', 'several commands a line']])('%s: %s (iproute2 6.15, iptables 1.8.11, Linux 6.12)', (name) => {
  // kept are the lines that ask for what is modelled; helps are the lab's own words
  const lines = readTranscript(new URL(`./${name}.jsonl`, import.meta.url));
  const result = replayTranscript({ scenario: 'recorded/docker', lines, normal: normalTools });
  report(`network, ${name}`, result);
  expect(result.differ).toEqual([]);
});
