/**
 * Command lines with what the real tools said (iproute2 6.1 and iptables 1.8.9 on Linux 6.18, in a new network namespace whose loopback
 * is up), one machine a file. Known differences are named, with their reason; anything else must be equal.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type Output, runCommands } from './commands.ts';

/** File, then command, then why it differs. */
const DIFFERS: Record<string, Record<string, string>> = {
  iptables: {},
  ip: { 'bridge vlan': 'that kernel was built without VLANs of bridges' },
};

const PROTOCOLS: Record<string, string> = { 0: 'all', 1: 'icmp', 6: 'tcp', 17: 'udp', 132: 'sctp' };

function normal(text: string): string {
  return text
    .replace(/\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b/g, 'MAC')
    .replace(/ +$/gm, '')
    .replace(/v1\.8\.\d+/g, 'VERSION')
    // 1.8.11 names the long options, and ends without an empty line; where 1.8.9 lacked one it has one.
    .replace('multiple -p flags not allowed', 'multiple --protocol options not allowed').replace(/Can't use -i with/g, "Can't use --in-interface with").replace(/Can't use -o with/g, "Can't use --out-interface with").replace(/\n\nTry `/g, '\nTry `')
    .replace(/ on \w{3} \w{3} +\d+ [\d:]{8} \d{4}$/gm, ' on DATE')
    // 1.8.9 shows numbers of protocols with -n, 1.8.11 names again.
    .replace(/^(.{0,40}?)\b(0|1|6|17|132) +(--|-f) /gm, (_all, head: string, n: string, opt: string) => `${head}${PROTOCOLS[n]!.padEnd(4)} ${opt} `);
}

const files = ['iptables', 'ip'];

it.each(files)('%s', (name) => {
  const real = readFileSync(new URL(`./real/${name}.jsonl`, import.meta.url), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Output);
  const mine = runCommands(['ip link set lo up', ...real.map((one) => one.cmd)]).slice(1);
  const wrong = real.flatMap((one, i) => {
    const got = mine[i]!;
    const same = got.exit === one.exit && normal(got.stdout) === normal(one.stdout) && normal(got.stderr) === normal(one.stderr);
    return same === (DIFFERS[name]![one.cmd] === undefined) ? [] : [{ real: one, got }];
  });
  expect(wrong).toEqual([]);
});
