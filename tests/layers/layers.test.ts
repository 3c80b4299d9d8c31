/**
 * The floors of the house and what each may import: the literal below is the table of the architecture. Every import of
 * every source file is held against it. A reader that finds no imports would pass anything, so it must find many.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

interface Floor {
  /** Other floors. A path narrows the right to that file or folder. */
  may: string[];
  /** npm packages. */
  npm: string[];
  /** What only types may come from. */
  types?: string[];
}

/** Longest prefix of a file's path decides its floor. */
const FLOORS: Record<string, Floor> = {
  'src/cpu': { may: [], npm: [] },
  'src/engine/sim': { may: [], npm: [] },
  'src/engine/machine': { may: ['src/engine/sim', 'src/cpu/layout.ts', 'src/cpu/ops.ts'], npm: [] },
  'src/engine/hypervisor': { may: ['src/engine/sim', 'src/engine/machine', 'src/cpu/layout.ts'], npm: [] },
  'src/engine/kernel': { may: ['src/engine/sim'], npm: ['ipaddr.js'] },
  'src/engine/kernel/drivers': { may: ['src/engine/sim', 'src/engine/kernel', 'src/engine/hypervisor', 'src/engine/machine'], npm: [] },
  'src/engine/cluster': { may: ['src/engine/sim'], npm: ['ipaddr.js', 'kubernetes-types', 'yaml', '@noble/hashes'] },
  'src/engine/userland': {
    may: [
      'src/engine/sim', 'src/engine/kernel/sys.ts', 'src/engine/kernel/abi.ts', 'src/engine/cluster/types',
    ],
    types: ['src/engine/kernel/net', 'src/engine/kernel/vfs/build.ts'],
    npm: ['unbash', 'yaml', 'fast-xml-parser', 'ipaddr.js', '@noble/hashes', 'fflate'],
  },
  'src/engine/userland/binutils': { may: ['src/engine/sim', 'src/engine/kernel/sys.ts', 'src/engine/kernel/abi.ts', 'src/engine/userland', 'src/engine/machine/isa'], npm: [] },
  'src/engine/userland/virt': {
    may: [
      'src/engine/sim', 'src/engine/kernel/sys.ts', 'src/engine/kernel/abi.ts', 'src/engine/kernel/drivers/kvm/uapi.ts', 'src/engine/userland', 'src/engine/machine/devices', 'src/engine/machine/isa', 'src/engine/machine/paging-formats.ts',
    ],
    npm: ['fast-xml-parser', 'fflate'],
  },
  'src/engine/world': { may: ['src/engine', 'src/bridge'], npm: ['valibot', 'yaml'] },
  'src/engine/views': { may: ['src/engine', 'src/bridge'], npm: [] },
  'src/bridge': { may: [], npm: [] },
  'src/labs': { may: ['src/bridge'], npm: ['valibot', 'yaml'] },
  'src/worker': { may: ['src/bridge', 'src/engine', 'build/cpu.wasm', 'build/ahead'], npm: [] },
  'src/cli': { may: ['src/bridge', 'src/engine', 'src/labs', 'src/worker'], npm: [] },
  'src/ui': {
    may: ['src/bridge', 'src/labs', 'src/worker/main.ts'],
    npm: [
      'react', 'react-dom', 'zustand', 'd3-array', 'd3-hierarchy', 'd3-scale', 'd3-selection', 'd3-shape', '@xterm/xterm', '@xterm/addon-fit', '@xterm/addon-search', '@xterm/addon-web-links',
      '@xterm/addon-serialize', 'radix-ui', 'react-resizable-panels', 'cmdk', 'lucide-react', 'marked', 'dompurify', 'fflate', '@fontsource-variable/inter', '@fontsource-variable/jetbrains-mono',
    ],
  },
};

interface Import {
  file: string;
  /** A path from the root, or an npm package. */
  target: string;
  npm: boolean;
  typeOnly: boolean;
}

function sources(dir: string): string[] {
  return readdirSync(join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory()) return sources(path);
    return /\.tsx?$/.test(entry.name) && !entry.name.endsWith('.d.ts') ? [path] : [];
  });
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const out: Import[] = [];
  for (const match of text.matchAll(/(?:^|\n)\s*((?:import|export)\b[^;'"]*?)from\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|new URL\(\s*['"](\.[^'"]+)['"]\s*,\s*import\.meta\.url/g)) {
    const name = (match[2] ?? match[3] ?? match[4] ?? match[5])!;
    const typeOnly = /^(import|export) type\b/.test(match[1] ?? '');
    if (name.startsWith('.')) out.push({ file, target: posix.normalize(posix.join(posix.dirname(file), name.replace(/\?.*$/, ''))), npm: false, typeOnly });
    else if (!name.startsWith('node:')) out.push({ file, target: name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : name.split('/')[0]!, npm: true, typeOnly });
    else if (!file.startsWith('src/cli/')) out.push({ file, target: name, npm: true, typeOnly });
  }
  return out;
}

const floorOf = (path: string): string | null =>
  Object.keys(FLOORS).filter((floor) => path === floor || path.startsWith(`${floor}/`)).sort((a, b) => b.length - a.length)[0] ?? null;

function wrong({ file, target, npm, typeOnly }: Import): string | null {
  const own = floorOf(file);
  if (!own) return `${file} stands on no floor`;
  const { may, npm: packages, types = [] } = FLOORS[own]!;
  if (npm) return packages.includes(target) ? null : `${file} imports the package ${target}`;
  const inside = (place: string): boolean => target === place || target.startsWith(`${place}/`);
  return inside(own) || may.some(inside) || (typeOnly && types.some(inside)) ? null : `${file} imports ${target}`;
}

const files = sources('src');
const imports = files.flatMap(importsOf);

describe('floors', () => {
  it('reads the sources', () => {
    expect(files.length).toBeGreaterThan(150);
    expect(imports.length).toBeGreaterThan(600);
    for (const floor of Object.keys(FLOORS)) expect(files.filter((file) => floorOf(file) === floor).length, floor).toBeGreaterThan(0);
  });

  it('stand on what is below them', () => {
    expect(imports.map(wrong).filter((text) => text !== null)).toEqual([]);
  });

  it('notice a floor that reaches where it may not', () => {
    expect(wrong({ file: 'src/engine/userland/sh/x.ts', target: 'src/engine/kernel/records.ts', npm: false, typeOnly: false })).toContain('imports');
    expect(wrong({ file: 'src/engine/cluster/x.ts', target: 'src/engine/kernel/sys.ts', npm: false, typeOnly: false })).toContain('imports');
    expect(wrong({ file: 'src/engine/kernel/task.ts', target: 'src/engine/hypervisor/vm.ts', npm: false, typeOnly: false })).toContain('imports');
    expect(wrong({ file: 'src/ui/x.ts', target: 'src/engine/sim/text.ts', npm: false, typeOnly: false })).toContain('imports');
  });

  it('have npm packages that exist in package.json', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const used = new Set(imports.filter((one) => one.npm).map((one) => one.target));
    for (const name of used) expect({ ...dependencies, ...devDependencies }, name).toHaveProperty(name);
    for (const name of Object.keys(dependencies)) expect([...used, ...stylesheetPackages()], `${name} is a dependency that nothing imports`).toContain(name);
  });
});

function stylesheetPackages(): string[] {
  return [...readFileSync(join(root, 'src/ui/style/base.css'), 'utf8').matchAll(/url\("((?:@[^/"]+\/)?[^/"]+)\//g)].map((m) => m[1]!);
}

it('names no path outside the project', () => {
  const found = files.filter((file) => /\.\.\/shared|\/home\/|\/Users\//.test(readFileSync(join(root, file), 'utf8').replaceAll("'/home/", "'")));
  expect(found.map((file) => relative('.', file)).filter((file) => !file.includes('userland') && !file.includes('world/install'))).toEqual([]);
});
