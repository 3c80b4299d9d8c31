/** Asking rtnetlink, and saying a refusal as iproute2 does: with the kernel's own text where it sent one. */
import { SysError } from '../../kernel/abi.ts';
import { type NetlinkRequest, sys } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import { strerror } from '../lib/io.ts';

/** A complaint printed as it is; nothing before it. */
export class Complaint extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** "RTNETLINK answers: File exists", or "Error: " and what the kernel says. Status 2. */
export function* ask<T>(request: NetlinkRequest): Call<T> {
  try {
    return (yield* sys('netlink', request)) as T;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const text = (yield* sys('netlink', { type: 'extack' })) as string;
    throw new Complaint(text ? `Error: ${text}` : `RTNETLINK answers: ${strerror(error)}`, 2);
  }
}
