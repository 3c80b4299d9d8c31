/**
 * The keyboard controller (8042, ports 0x60 and 0x64) of a machine without a keyboard: it answers its own commands, resets the
 * processor, and no key ever comes. Source: IBM PC AT Technical Reference; values as QEMU's after its firmware. Left out:
 * keys, the mouse, IRQ 1 and 12, closing the A20 gate.
 */
export interface Keyboard {
  /** Bytes for port 0x60. */
  output: number[];
  configuration: number;
  /** The command that the next byte to port 0x60 belongs to; 0: none, it is the keyboard's. */
  command: number;
  /** Read by 0xd0: bit 0 not resetting, bit 1 A20. */
  port: number;
}

const FULL = 1;
/** Self-test passed, a command came last, not locked. */
const STATUS = 0x1c;

export const createKeyboard = (): Keyboard => ({ output: [], configuration: 0x61, command: 0, port: 3 });

export function readKeyboard(keyboard: Keyboard, port: number): number {
  if (port === 0x64) return STATUS | (keyboard.output.length > 0 ? FULL : 0);
  return keyboard.output.shift() ?? 0;
}

/** True: the processor is reset. */
export function writeKeyboard(keyboard: Keyboard, port: number, value: number): boolean {
  if (port === 0x64) return onCommand(keyboard, value);
  const { command } = keyboard;
  keyboard.command = 0;
  if (command === 0x60) keyboard.configuration = value;
  else if (command === 0xd1) {
    keyboard.port = value;
    return (value & 1) === 0;
  } else if (command === 0xd2) keyboard.output.push(value);
  return false;
}

function onCommand(keyboard: Keyboard, value: number): boolean {
  switch (value) {
    case 0x20: keyboard.output.push(keyboard.configuration); break;
    case 0xaa: keyboard.output.push(0x55); break;
    case 0xab:
    case 0xa9: keyboard.output.push(0); break;
    case 0xc0: keyboard.output.push(0x80); break;
    case 0xd0: keyboard.output.push(keyboard.port); break;
    case 0x60:
    case 0xd1:
    case 0xd2:
    case 0xd4: keyboard.command = value; break;
  }
  // 0xf0 to 0xff pulse output lines low; line 0 is the reset
  return value >= 0xf0 && (value & 1) === 0;
}
