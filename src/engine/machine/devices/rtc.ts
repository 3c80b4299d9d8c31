/**
 * The PC's real-time clock and its battery-backed memory (MC146818, ports 0x70 and 0x71): the time of day in UTC, read only,
 * in BCD or binary as register B says, and the sizes of memory where firmware leaves them. Source: Motorola MC146818 data
 * sheet; addresses of the sizes as QEMU's PC fills them. Left out: setting the time, alarms, periodic interrupts (IRQ 8).
 */
import { civilOf } from '../../sim/calendar.ts';

export interface Rtc {
  index: number;
  memory: Uint8Array;
}

const REGISTER_A = 0x0a;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const REGISTER_D = 0x0d;
const CENTURY = 0x32;
const HOURS_24 = 2;
const BINARY = 4;

/** `bytes` of main memory. */
export function createRtc(bytes: number): Rtc {
  const memory = new Uint8Array(128);
  const low16 = (at: number, value: number): void => {
    memory[at] = value & 255;
    memory[at + 1] = (value >> 8) & 255;
  };
  memory[REGISTER_A] = 0x26;
  memory[REGISTER_B] = HOURS_24;
  memory[REGISTER_D] = 0x80;
  low16(0x15, 640);
  const extended = Math.min(0xffff, Math.max(0, Math.floor(bytes / 1024) - 1024));
  low16(0x17, extended);
  low16(0x30, extended);
  low16(0x34, Math.min(0xffff, Math.max(0, Math.floor((bytes - 2 ** 24) / 65536))));
  return { index: 0, memory };
}

/** `epoch`: ns since 1970. */
export function readRtc(rtc: Rtc, port: number, epoch: number): number {
  if (port === 0x70) return 0xff;
  const time = timeRegister(rtc, epoch);
  return time ?? rtc.memory[rtc.index]!;
}

function timeRegister(rtc: Rtc, epoch: number): number | null {
  const seconds = Math.floor(epoch / 1e9);
  const b = rtc.memory[REGISTER_B]!;
  const coded = (n: number): number => (b & BINARY ? n : Math.floor(n / 10) * 16 + (n % 10));
  const { year, month, day, weekday } = civilOf(seconds);
  switch (rtc.index) {
    case 0: return coded(seconds % 60);
    case 2: return coded(Math.floor(seconds / 60) % 60);
    case 4: return hour(Math.floor(seconds / 3600) % 24, b, coded);
    case 6: return coded(weekday + 1);
    case 7: return coded(day);
    case 8: return coded(month);
    case 9: return coded(year % 100);
    case CENTURY: return coded(Math.floor(year / 100));
    case REGISTER_C: return 0;
    default: return null;
  }
}

function hour(n: number, b: number, coded: (n: number) => number): number {
  if (b & HOURS_24) return coded(n);
  return coded(n % 12 === 0 ? 12 : n % 12) | (n >= 12 ? 0x80 : 0);
}

export function writeRtc(rtc: Rtc, port: number, value: number): void {
  if (port === 0x70) rtc.index = value & 127;
  else if (rtc.index !== REGISTER_C && rtc.index !== REGISTER_D) rtc.memory[rtc.index] = value & 255;
}
