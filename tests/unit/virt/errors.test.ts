/** What QEMU, virsh and virt-install say when something is wrong, before any guest runs. */
import { expect, it } from 'vitest';
import { lab } from './machine.ts';

const QEMU = '/usr/bin/qemu-system-x86_64';
const machine = lab({ '/root/elf': { type: 'file', data: '\x7fELF..' }, '/root/flat': { type: 'file', data: 'x'.repeat(2 ** 20) } });

it.each([
  [[QEMU, '--version'], 0, 'QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022 Fabrice Bellard and the QEMU Project developers\n', ''],
  [[QEMU, '-bogus'], 1, '', 'qemu-system-x86_64: -bogus: invalid option\n'],
  [[QEMU, '-m'], 1, '', 'qemu-system-x86_64: -m: requires an argument\n'],
  [[QEMU, '-accel', 'kvm', '-nographic', '-kernel', '/root/none'], 1, '', "qemu: could not open kernel file '/root/none': No such file or directory\n"],
  [[QEMU, '-accel', 'kvm', '-nographic', '-kernel', '/root/elf'], 1, '', 'qemu-system-x86_64: Error while loading elf kernel\n'],
  [[QEMU, '-accel', 'kvm', '-nographic', '-m', '1M', '-kernel', '/root/flat'], 1, '', "qemu: could not load kernel '/root/flat': 1048576 bytes at 1 MiB do not fit into 1 MiB of memory\n"],
  [[QEMU, '-accel', 'kvm', '-nographic', '-m', '2G', '-kernel', '/root/flat'], 1, '', 'qemu-system-x86_64: not modelled: guests of more than 1 GiB of memory\n'],
  [[QEMU, '-accel', 'nvmm', '-nographic'], 1, '', 'qemu-system-x86_64: -accel nvmm: invalid accelerator nvmm\n'],
  [[QEMU, '-accel', 'kvm', '-cpu', 'host,ept=maybe', '-nographic'], 1, '', "qemu-system-x86_64: can't apply global host-x86_64-cpu.ept=maybe: Parameter 'ept' expects 'on' or 'off'\n"],
  [[QEMU, '-cpu', 'host,foo', '-nographic'], 1, '', "qemu-system-x86_64: can't apply global host-x86_64-cpu.foo=on: Property 'host-x86_64-cpu.foo' not found\n"],
  [[QEMU, '-cpu', 'max,-foo', '-nographic'], 1, '', "qemu-system-x86_64: Property 'max-x86_64-cpu.foo' not found\n"],
  [[QEMU, '-cpu', 'qemu64,+pcid,-avx,avx2=on', '-nographic'], 1, '', 'qemu-system-x86_64: not modelled: -cpu qemu64 with avx2 on\n'],
  [[QEMU, '-device', 'e1000'], 1, '', 'qemu-system-x86_64: -device e1000: not modelled: e1000\n'],
  [[QEMU, '-device', 'nosuch'], 1, '', "qemu-system-x86_64: -device nosuch: 'nosuch' is not a valid device model name\n"],
  [['/usr/bin/virsh', 'list', '--all'], 0, ' Id   Name   State\n-----------------------\n -    tiny   shut off\n\n', ''],
  [['/usr/bin/virsh', '-q', 'list', '--all'], 0, ' -   tiny   shut off\n', ''],
  [['/usr/bin/virsh', 'list; domstate tiny --reason'], 0, ' Id   Name   State\n--------------------\n\nshut off (unknown)\n\n', ''],
  [['/usr/bin/virsh', 'list; nosuch'], 1, '', "error: unknown command: 'nosuch'\n"],
  [['/usr/bin/virsh', '-r', 'start', 'tiny'], 1, '\n', "error: Failed to start domain 'tiny'\nerror: operation forbidden: read only access prevents virDomainCreate\n"],
  [['/usr/bin/virsh', '--bogus'], 1, '', "error: unsupported option '--bogus'. See --help.\n"],
  [['/usr/bin/virsh', '-c', 'test:///default', 'list'], 0, ' Id   Name   State\n----------------------\n 1    test   running\n\n', ''],
  [['/usr/bin/virsh', 'console', 'tiny'], 1, '\n', 'error: The domain is not running\n'],
  [['/usr/bin/virt-host-validate', 'bogus'], 1, '', 'virt-host-validate: unsupported hypervisor name bogus\n'],
  [['/usr/bin/systemd-detect-virt', '-c'], 1, 'none\n', ''],
  [['/usr/bin/virt-install', '--memory', '64'], 1, '', 'ERROR    --name is required\n'],
])('%j', (argv, status, stdout, stderr) => {
  expect(machine.run(...argv)).toEqual({ status: status << 8, stdout, stderr });
});
