/**
 * /dev/cpu/N/msr and /dev/cpu/N/cpuid: the processor's model-specific registers and its answers to CPUID, asked of a modelled
 * processor of each core's own, as the kernel's boot left it (long mode, VMX enabled and locked by the firmware). Eight bytes
 * at the offset that is the register's number, EIO where RDMSR or WRMSR is #GP; sixteen bytes at leaf | subleaf << 32.
 * What CPUID says is also where the flags of /proc/cpuinfo come from. Source: msr(4), cpuid(4).
 */
import { cpuid, createMachine, type Machine, readMsr, writeMsr } from '../../machine/machine.ts';
import { SysError } from '../abi.ts';
import { nsCapable } from '../credentials.ts';
import type { Kernel, Task } from '../records.ts';
import type { FileOps } from '../vfs/types.ts';
import { timeOf } from '../wait.ts';
import type { ProcessorFacts } from '../vfs/proc/machine.ts';

const EFER = 0xc0000080;
/** SCE, LME, NXE. */
const BOOTED_EFER = 0x901n;
const FEATURE_CONTROL = 0x3a;
/** Locked, VMXON outside SMX. */
const FIRMWARE = 5n;
const TSC = 0x10;
const SMALLEST = 65536;

/** Registers the nodes of every processor. `module` is the processor's. */
export function installMsr(kernel: Kernel, module: WebAssembly.Module, guest: boolean): void {
  const cores: (Machine | undefined)[] = [];
  const core = (n: number): Machine => {
    const machine = cores[n] ?? createMachine(module, SMALLEST);
    if (!cores[n]) {
      writeMsr(machine, EFER, BOOTED_EFER);
      writeMsr(machine, FEATURE_CONTROL, FIRMWARE);
    }
    cores[n] = machine;
    return machine;
  };
  for (let n = 0; n < kernel.cpus; n++) {
    kernel.devices.set(`c202:${n}`, (_kernel, task) => {
      mayAsk(kernel, task);
      return { ops: msrOps(() => core(n)), data: null };
    });
    kernel.devices.set(`c203:${n}`, () => ({ ops: cpuidOps(() => core(n)), data: null }));
  }
  let facts: ProcessorFacts | null = null;
  const told = (one: ProcessorFacts): ProcessorFacts => (guest ? { ...one, flags: `${one.flags.replace(' pdpe1gb', '')} hypervisor` } : one);
  kernel.drivers.set('processor', () => (facts ??= told(factsOf(core(0)))));
}

function mayAsk(kernel: Kernel, task: Task): void {
  if (!nsCapable(task, kernel.init.user, 'sys_rawio')) throw new SysError('EPERM');
}

const index = (offset: number): number => Math.floor(offset) >>> 0;

function msrOps(core: () => Machine): FileOps {
  return {
    read(kernel, _task, _file, count, offset) {
      if (count % 8 !== 0) throw new SysError('EINVAL');
      const value = index(offset) === TSC ? BigInt(Math.round(timeOf(kernel) * kernel.ghz)) : readMsr(core(), index(offset));
      if (value === null) throw new SysError('EIO');
      const out = new DataView(new ArrayBuffer(8));
      out.setBigUint64(0, value, true);
      return new Uint8Array(out.buffer);
    },
    write(_kernel, _task, _file, data, offset) {
      if (data.length % 8 !== 0 || data.length === 0) throw new SysError('EINVAL');
      const value = new DataView(data.buffer, data.byteOffset, 8).getBigUint64(0, true);
      if (!writeMsr(core(), index(offset), value)) throw new SysError('EIO');
      return 8;
    },
  };
}

function cpuidOps(core: () => Machine): FileOps {
  return {
    read(_kernel, _task, _file, count, offset) {
      if (count % 16 !== 0) throw new SysError('EINVAL');
      const { eax, ebx, ecx, edx } = cpuid(core(), index(offset), Math.floor(offset / 2 ** 32));
      const out = new DataView(new ArrayBuffer(16));
      [eax, ebx, ecx, edx].forEach((word, n) => out.setUint32(4 * n, word >>> 0, true));
      return new Uint8Array(out.buffer);
    },
  };
}

// ---- the flags of /proc/cpuinfo, in its order

const bits = (text: string): readonly (string | undefined)[] => text.split(' ').map((name) => (name === '-' ? undefined : name));
const WORDS: readonly [leaf: number, register: 'edx' | 'ecx' | 'ebx', names: readonly (string | undefined)[]][] = [
  [1, 'edx', bits('fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe')],
  [0x80000001, 'edx', bits('- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow')],
  [0x80000007, 'edx', bits('- - - - - - - - constant_tsc')],
  [1, 'ecx', bits('pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor')],
  [0x80000001, 'ecx', bits('lahf_lm cmp_legacy svm extapic cr8_legacy abm')],
  [7, 'ebx', bits('fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx - avx512f - rdseed adx smap')],
  [7, 'ecx', bits('- - umip pku ospke waitpkg')],
];

/** Capability MSR, bit that says it may be, name. */
const VMX_BITS: readonly [msr: number, bit: bigint, name: string][] = [
  [0x481, 37n, 'vnmi'], [0x481, 38n, 'preemption_timer'], [0x48c, 32n, 'invvpid'], [0x48c, 0n, 'ept_x_only'], [0x48c, 21n, 'ept_ad'], [0x48c, 17n, 'ept_1gb'],
  [0x482, 35n, 'tsc_offset'], [0x482, 53n, 'vtpr'], [0x482, 59n, 'mtf'], [0x48b, 32n, 'vapic'], [0x48b, 33n, 'ept'], [0x48b, 37n, 'vpid'], [0x48b, 39n, 'unrestricted_guest'],
];

const vmxFlags = (machine: Machine): string => VMX_BITS.filter(([msr, bit]) => (((readMsr(machine, msr) ?? 0n) >> bit) & 1n) !== 0n).map(([, , name]) => name).join(' ');

function factsOf(machine: Machine): ProcessorFacts {
  const flags: string[] = [];
  for (const [leaf, register, names] of WORDS) {
    const word = cpuid(machine, leaf, 0)[register];
    names.forEach((name, bit) => {
      if (name && (word >>> bit) & 1) flags.push(name);
    });
  }
  const { eax } = cpuid(machine, 1, 0);
  const family = (eax >>> 8) & 15;
  const brand = [0x80000002, 0x80000003, 0x80000004].map((leaf) => cpuid(machine, leaf, 0)).flatMap(({ eax: a, ebx, ecx, edx }) => [a, ebx, ecx, edx])
    .map((word) => String.fromCharCode(word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24)).join('').replace(/\0+$/, '').trim();
  const sizes = cpuid(machine, 0x80000008, 0).eax;
  return { flags: flags.join(' '), vmx: flags.includes('vmx') ? vmxFlags(machine) : '', family, model: (((eax >>> 16) & 15) << 4) | ((eax >>> 4) & 15), stepping: eax & 15, brand, level: cpuid(machine, 0, 0).eax, physicalBits: sizes & 255, linearBits: (sizes >>> 8) & 255 };
}
