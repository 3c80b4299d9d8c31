/**
 * The states in which the virsh transcripts began. `virsh-qemu`: no domain, network default active, the files that its
 * commands name; the guest at /root/virt/vmlinuz is the lab's own (it answers the power button and otherwise sleeps), as the
 * recorded one was a Linux. `virsh`: no libvirtd at all, every command brings its own test:///default.
 */
import { assemble } from '../../machine/isa/assemble.ts';
import type { Tree } from '../../kernel/vfs/build.ts';
import { GiB } from '../../sim/units.ts';
import type { ScenarioSpec, Service } from '../scenario.ts';

const TINY = `<domain type='qemu'>
  <name>tiny</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <memory unit='MiB'>128</memory>
  <currentMemory unit='MiB'>128</currentMemory>
  <vcpu current='1'>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>/root/virt/vmlinuz</kernel>
    <initrd>/root/virt/initrd.gz</initrd>
    <cmdline>console=ttyS0 quiet</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/root/virt/images/tiny.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:11:22:33'/>
      <source network='default'/>
      <model type='virtio'/>
    </interface>
    <serial type='pty'><log file='/root/virt/log/tiny-serial.log' append='off'/></serial>
    <console type='pty'/>
    <memballoon model='virtio'/>
  </devices>
</domain>
`;

/** Sleeps until the power button is pressed, and powers off a second and a half later, as a system that stops its services does. */
const GUEST = `bits 32
org 0x100000
header:
    dd 0x1badb002, 0x10000, -0x1baeb002, header, header, 0, 0, start
start:
    mov esp, 0x90000
    lgdt [gdtr]
    jmp 8:.flat
.flat:
    mov eax, on_timer
    mov edi, idt + 32 * 8
    call gate
    mov eax, on_power
    mov edi, idt + 41 * 8
    call gate
    lidt [idtr]
    mov esi, ports
    mov ecx, 13
.device:
    movzx edx, word [esi]
    mov al, [esi + 2]
    out dx, al
    add esi, 3
    loop .device
    mov dx, 0x602
    mov ax, 0x100
    out dx, ax
.sleep:
    sti
    hlt
    jmp .sleep
gate:
    mov [edi], ax
    mov word [edi + 2], 0x08
    mov word [edi + 4], 0x8e00
    shr eax, 16
    mov [edi + 6], ax
    ret
on_timer:
    mov al, 0x20
    out 0x20, al
    cmp dword [left], 0
    je .done
    dec dword [left]
    jnz .done
    mov dx, 0x604
    mov ax, 0x2000
    out dx, ax
.done:
    iret
on_power:
    mov dx, 0x600
    mov ax, 0x100
    out dx, ax
    mov dword [left], 30
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    iret
; port and byte: both interrupt controllers (timer, cascade and ACPI open), the timer at 20 Hz
ports:
    dw 0x20
    db 0x11
    dw 0xa0
    db 0x11
    dw 0x21
    db 32
    dw 0xa1
    db 40
    dw 0x21
    db 4
    dw 0xa1
    db 2
    dw 0x21
    db 1
    dw 0xa1
    db 1
    dw 0x21
    db 0xfa
    dw 0xa1
    db 0xfd
    dw 0x43
    db 0x34
    dw 0x40
    db 0x0b
    dw 0x40
    db 0xe9
align 8
left: dd 0
gdtr: dw 23
    dd gdt
idtr: dw 42 * 8 - 1
    dd idt
align 16
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
idt: times 42 * 8 db 0
`;

const file = (data: string | Uint8Array): Tree[string] => ({ type: 'file', data, mode: 0o644 });

function scenario(name: string, services: readonly Service[], files: Tree): ScenarioSpec {
  return {
    name: `recorded/${name}`, cluster: null, manifests: [],
    hosts: [{ name: 'vm', cpus: 2, memory: 4 * GiB, address: '10.0.0.5', services, images: [], domains: [], files }],
  };
}

export const virshScenarios: Record<string, () => ScenarioSpec> = {
  virsh: () => scenario('virsh', [], {}),
  'virsh-qemu': () => scenario('virsh-qemu', ['libvirtd'], {
    '/root/xml/tiny.xml': file(TINY), '/root/virt/vmlinuz': file(assemble(GUEST, 'guest.asm').bytes), '/root/virt/initrd.gz': file(''), '/root/virt/log': { type: 'dir' },
    '/root/virt/images': { type: 'dir' },
  }),
};
