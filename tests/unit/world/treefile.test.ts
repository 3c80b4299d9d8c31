/** Parts of disks as a file: what comes back is what was written, and the default scenario's stores are those it would fill. */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { bytes } from '../../../src/engine/sim/text.ts';
import { storeName, storeOf } from '../../../src/engine/world/install.ts';
import { findScenario } from '../../../src/engine/world/scenario.ts';
import { readTrees, writeTrees } from '../../../src/engine/world/treefile.ts';

/** As a disk has it: text is bytes, and bytes (there are megabytes of them) are told by their digest. */
const laid = (tree: Tree) => Object.entries(tree).map(([path, entry]) => [path, entry.type === 'file' ? { ...entry, data: digest(typeof entry.data === 'string' ? bytes(entry.data) : entry.data) } : entry]);
const digest = (data: Uint8Array): string => `${data.length} ${createHash('sha256').update(data).digest('hex')}`;

it('gives every kind of entry back, in order', () => {
  const tree: Tree = {
    '/b': { type: 'dir', mode: 0o700, uid: 5 }, '/b/text': { type: 'file', data: 'früh\n', mode: 0o600 }, '/a': { type: 'link', target: '/b' }, '/b/none': { type: 'file', data: '' },
    '/b/bin': { type: 'program', name: 'ls', mode: 0o755 }, '/b/raw': { type: 'file', data: Uint8Array.from({ length: 256 }, (_, i) => i) }, '/b/again': { type: 'hard', target: '/b/raw' }, '/dev': { type: 'chr', major: 1, minor: 3 },
  };
  const { one, two } = readTrees(writeTrees({ one: tree, two: { '/x': tree['/b/raw']! } }));
  expect(laid(one!)).toEqual(laid(tree));
  expect(laid(two!)).toEqual(laid({ '/x': tree['/b/raw']! }));
});

it('holds the stores of the default scenario', () => {
  const hosts = findScenario('lab').hosts.filter((host) => host.images.length > 0);
  expect(new Set(hosts.map(storeName)).size).toBe(2);
  const read = readTrees(writeTrees(Object.fromEntries(hosts.map((host) => [storeName(host), storeOf(host)]))));
  for (const host of hosts) expect(laid(read[storeName(host)]!)).toEqual(laid(storeOf(host)));
});
