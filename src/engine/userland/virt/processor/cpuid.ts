/**
 * cpuid: the leaves of CPUID of each processor, raw (-r) or in words, from /dev/cpu/N/cpuid. Words as the tool of Todd Allen has
 * them for the leaves that the modelled processor answers; other leaves are shown raw. Source: cpuid(1), SDM 2A CPUID.
 */
import { AT_FDCWD, O_RDONLY, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { BadOption, lastValue, parseOptions } from '../../lib/args.ts';
import { list } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { command, Failed, print, strerror } from '../../lib/io.ts';

interface Leaf { leaf: number; sub: number; words: [number, number, number, number] }

function* ask(fd: number, leaf: number, sub: number): Call<Leaf> {
  const data = yield* sys('pread64', fd, 16, leaf + sub * 2 ** 32);
  const view = new DataView(data.buffer, data.byteOffset, 16);
  return { leaf, sub, words: [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as Leaf['words'] };
}

const hex = (n: number, digits = 8): string => `0x${(n >>> 0).toString(16).padStart(digits, '0')}`;
const raw = ({ leaf, sub, words }: Leaf): string => `   ${hex(leaf)} ${hex(sub, 2)}: ${['eax', 'ebx', 'ecx', 'edx'].map((name, n) => `${name}=${hex(words[n]!)}`).join(' ')}\n`;

/** Names by bit; '' is skipped. */
function flags(title: string, word: number, names: readonly string[]): string {
  const width = Math.max(...names.map((name) => name.length));
  return `   ${title}:\n${names.map((name, bit) => (name === '' ? '' : `      ${name.padEnd(width)} = ${(word >>> bit) & 1 ? 'true' : 'false'}\n`)).join('')}`;
}

const number = (n: number): string => `0x${n.toString(16)} (${n})`;

const EDX = [
  'x87 FPU on chip', 'VME: virtual-8086 mode enhancement', 'DE: debugging extensions', 'PSE: page size extensions', 'TSC: time stamp counter', 'RDMSR and WRMSR support', 'PAE: physical address extensions', 'MCE: machine check exception', 'CMPXCHG8B inst.', 'APIC on chip', '',
  'SYSENTER and SYSEXIT', 'MTRR: memory type range registers', 'PTE global bit', 'MCA: machine check architecture', 'CMOV: conditional move/compare instr   ', 'PAT: page attribute table', 'PSE-36: page size extension', 'PSN: processor serial number', 'CLFLUSH instruction', '',
  'DS: debug store', 'ACPI: thermal monitor and clock ctrl', 'MMX Technology', 'FXSAVE/FXRSTOR', 'SSE extensions', 'SSE2 extensions', 'SS: self snoop', 'hyper-threading / multi-core supported', 'TM: therm. monitor', 'IA64', 'PBE: pending break event',
];
const ECX = [
  'PNI/SSE3: Prescott New Instructions', 'PCLMULDQ instruction', 'DTES64: 64-bit debug store', 'MONITOR/MWAIT', 'CPL-qualified debug store', 'VMX: virtual machine extensions', 'SMX: safer mode extensions', 'Enhanced Intel SpeedStep Technology', 'TM2: thermal monitor 2',
  'SSSE3 extensions', 'context ID: adaptive or shared L1 data', 'SDBG: IA32_DEBUG_INTERFACE', 'FMA instruction', 'CMPXCHG16B instruction', 'xTPR disable', 'PDCM: perfmon and debug', '', 'PCID: process context identifiers', 'DCA: direct cache access', 'SSE4.1 extensions',
  'SSE4.2 extensions', 'x2APIC: extended xAPIC support', 'MOVBE instruction', 'POPCNT instruction', 'time stamp counter deadline', 'AES instruction', 'XSAVE/XSTOR states', 'OS-enabled XSAVE/XSTOR', 'AVX: advanced vector extensions', 'F16C half-precision convert instruction', 'RDRAND instruction',
  'hypervisor guest status',
];
const LEAF7_EBX = [
  'FSGSBASE instructions', 'IA32_TSC_ADJUST MSR supported', 'SGX: Software Guard Extensions supported', 'BMI1 instructions', 'HLE hardware lock elision', 'AVX2: advanced vector extensions 2', 'FDP_EXCPTN_ONLY', 'SMEP supervisor mode exec protection', 'BMI2 instructions',
  'enhanced REP MOVSB/STOSB', 'INVPCID instruction', 'RTM: restricted transactional memory', 'RDT-CMT/PQoS cache monitoring', 'deprecated FPU CS/DS', 'MPX: intel memory protection extensions', 'RDT-CAT/PQE cache allocation', 'AVX512F: AVX-512 foundation instructions',
  'AVX512DQ: double & quadword instructions', 'RDSEED instruction', 'ADX instructions', 'SMAP: supervisor mode access prevention',
];
const EXTENDED_EDX: Readonly<Record<number, string>> = { 11: 'SYSCALL and SYSRET instructions', 20: 'execution disable', 26: '1-GB large page support', 27: 'RDTSCP', 29: '64-bit extensions technology available' };
const sparse = (names: Readonly<Record<number, string>>): string[] => Array.from({ length: 32 }, (_, bit) => names[bit] ?? '');
const text4 = (...words: number[]): string => words.map((w) => String.fromCharCode(w & 255, (w >>> 8) & 255, (w >>> 16) & 255, w >>> 24)).join('');

function versionText([eax, ebx]: Leaf['words']): string {
  const family = (eax >>> 8) & 15;
  const model = (eax >>> 4) & 15;
  const [xfamily, xmodel] = [(eax >>> 20) & 255, (eax >>> 16) & 15];
  const synth = (xmodel << 4) | model;
  return `   version information (1/eax):\n      processor type  = primary processor (0)\n      family          = ${number(family)}\n      model           = ${number(model)}\n      stepping id     = ${number(eax & 15)}\n      extended family = ${number(xfamily)}\n      extended model  = ${number(xmodel)}\n      (family synth)  = ${number(family + xfamily)}\n      (model synth)   = ${number(synth)}\n`
    + `   miscellaneous (1/ebx):\n      process local APIC physical ID = ${number(ebx >>> 24)}\n      maximum IDs for CPUs in pkg    = ${number((ebx >>> 16) & 255)}\n      CLFLUSH line size              = ${number((ebx >>> 8) & 255)}\n      brand index                    = ${number(ebx & 255)}\n`;
}

function words(one: Leaf, all: readonly Leaf[]): string {
  const [eax, ebx, ecx, edx] = one.words;
  switch (one.leaf) {
    case 0: return `   vendor_id = "${text4(ebx, edx, ecx)}"\n`;
    case 1: return versionText(one.words) + flags('feature information (1/edx)', edx, EDX) + flags('feature information (1/ecx)', ecx, ECX);
    case 5: return `   MONITOR/MWAIT (5):\n      smallest monitor-line size (bytes)       = ${number(eax & 0xffff)}\n      largest monitor-line size (bytes)        = ${number(ebx & 0xffff)}\n      enum of Monitor-MWAIT exts supported     = ${ecx & 1 ? 'true' : 'false'}\n      supports intrs as break-event for MWAIT  = ${ecx & 2 ? 'true' : 'false'}\n`;
    case 7: return one.sub > 0 ? raw(one) : flags('extended feature flags (7)', ebx, LEAF7_EBX) + `      UMIP: user-mode instruction prevention   = ${ecx & 4 ? 'true' : 'false'}\n`;
    case 0x80000001: return flags('extended feature flags (0x80000001/edx)', edx, sparse(EXTENDED_EDX)) + flags('Intel feature flags (0x80000001/ecx)', ecx, sparse({ 0: 'LAHF/SAHF supported in 64-bit mode', 5: 'LZCNT advanced bit manipulation', 8: '3DNow! PREFETCH/PREFETCHW instructions' }));
    case 0x80000002: {
      const brand = all.filter(({ leaf }) => leaf >= 0x80000002 && leaf <= 0x80000004).flatMap((leaf) => leaf.words);
      return brand.length < 12 ? raw(one) : `   brand = "${text4(...brand).replace(/\0+$/, '')}"\n`;
    }
    case 0x80000003:
    case 0x80000004: return all.length > 1 ? '' : raw(one);
    case 0x80000007: return `   Advanced Power Management Features (0x80000007/edx):\n      TscInvariant                            = ${edx & 256 ? 'true' : 'false'}\n`;
    case 0x80000008: return `   Physical Address and Linear Address Size (0x80000008/eax):\n      maximum physical address bits         = ${number(eax & 255)}\n      maximum linear (virtual) address bits = ${number((eax >>> 8) & 255)}\n      maximum guest physical address bits   = ${number((eax >>> 16) & 255)}\n`;
    default: return one.words.every((word) => word === 0) ? '' : raw(one);
  }
}

function* leaves(fd: number): Call<Leaf[]> {
  const out: Leaf[] = [];
  for (const base of [0, 0x80000000]) {
    const first = yield* ask(fd, base, 0);
    for (let leaf = base; leaf <= first.words[0] && leaf - base < 64; leaf++) out.push(yield* ask(fd, leaf, 0));
  }
  return out;
}

function numeric(word: string | undefined, name: string): number | null {
  if (word === undefined) return null;
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(word)) throw new Failed(`argument to -${name} not understood: ${word}`);
  return Number(word) >>> 0;
}

export const cpuid = command(function* (argv) {
  const o = parseOptions('1/one-cpu r/raw l/leaf= s/subleaf= v/version h/help i/inst k/kernel', argv.slice(1));
  if (o.on.has('version')) {
    yield* print('cpuid version 20230120\n');
    return 0;
  }
  const leaf = numeric(lastValue(o, 'leaf'), 'l');
  const sub = numeric(lastValue(o, 'subleaf'), 's');
  if (sub !== null && leaf === null) throw new BadOption('-s/--subleaf requires -l/--leaf');
  const cpus = (yield* list('/dev/cpu')).map(({ name }) => Number(name)).filter(Number.isInteger).sort((a, b) => a - b);
  for (const cpu of o.on.has('one-cpu') ? cpus.slice(0, 1) : cpus) {
    let fd: number;
    try {
      fd = yield* sys('openat', AT_FDCWD, `/dev/cpu/${cpu}/cpuid`, O_RDONLY);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Failed(`cannot open /dev/cpu/${cpu}/cpuid; errno = ${error.errno} (${strerror(error)})`);
    }
    const all = leaf === null ? yield* leaves(fd) : [yield* ask(fd, leaf, sub ?? 0)];
    yield* print(`${o.on.has('one-cpu') ? 'CPU' : `CPU ${cpu}`}:\n${all.map((one) => (o.on.has('raw') ? raw(one) : words(one, all))).join('')}`);
    yield* sys('close', fd);
  }
  return 0;
});
