/** The kernel's ring buffer: what dmesg reads. */
import type { Kernel } from './records.ts';

const KEPT = 4000;

/** Appends a line; level 0 emergency … 7 debug. */
export function logLine(kernel: Kernel, level: number, text: string): void {
  kernel.log.push({ level, at: kernel.timeline.now - kernel.bootedAt, text });
  if (kernel.log.length > KEPT) kernel.log.splice(0, kernel.log.length - KEPT);
}
