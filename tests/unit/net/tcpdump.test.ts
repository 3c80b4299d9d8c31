/** tcpdump on a capture that this lab wrote, beside what tcpdump 4.99.3 says of the same file: lines, hex, times, filters, refusals. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { runCommands } from './commands.ts';

interface Case {
  flags: string[];
  filter: string;
  stdout: string;
  stderr: string;
  exit: number;
}

const here = (name: string): URL => new URL(`./real/${name}`, import.meta.url);
const cases = readFileSync(here('tcpdump.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Case);
const frames = new Uint8Array(readFileSync(here('frames.pcap')));

it('reads, filters and prints as the real one does', () => {
  const lines = cases.map(({ flags, filter }) => `tcpdump ${flags.join(' ')} -r /x.pcap ${filter === '' ? '' : `"${filter}"`}`);
  const got = runCommands(lines, { tree: { '/x.pcap': { type: 'file', data: frames } } });
  const wrong = cases.flatMap((one, i) => {
    const stderr = got[i]!.stderr.replace(/^.*\n/, '');
    return got[i]!.stdout === one.stdout && got[i]!.exit === one.exit && stderr === one.stderr ? [] : [{ one, got: got[i] }];
  });
  expect(wrong).toEqual([]);
});
