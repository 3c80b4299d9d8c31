/** A session in a link: the recording as JSON, deflated, base64url, after `#s=`. Reading trusts nothing and stops early. */
import { deflateSync, Inflate, strFromU8, strToU8 } from 'fflate';
import type { Recording } from '../../bridge/protocol.ts';

const MOST = 4_000_000;
export class BadLink extends Error {}

export function toLink(recording: Recording): string {
  const bytes = deflateSync(strToU8(JSON.stringify(recording)), { level: 9 });
  let binary = '';
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  const base = `${location.origin}${location.pathname}`;
  return `${base}#s=${btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`;
}

export function fromHash(hash: string): Recording | null {
  const text = /^#s=(.*)$/.exec(hash)?.[1];
  if (text === undefined) return null;
  if (!/^[A-Za-z0-9_-]+$/.test(text)) throw new BadLink('the part after #s= has characters that no share link has; perhaps it was cut or changed on its way');
  let packed: Uint8Array;
  try {
    packed = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  } catch {
    throw new BadLink('the part after #s= is not whole; perhaps the end was cut off');
  }
  return readRecording(strFromU8(inflateCapped(packed)));
}

function inflateCapped(packed: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  let done = false;
  try {
    const inflate = new Inflate((chunk, final) => {
      total += chunk.length;
      if (total > MOST) throw new BadLink(`the session in it is larger than ${MOST / 1e6} MB`);
      parts.push(chunk);
      done ||= final;
    });
    for (let i = 0; i < packed.length; i += 4096) inflate.push(packed.subarray(i, i + 4096), i + 4096 >= packed.length);
  } catch (error) {
    if (error instanceof BadLink) throw error;
    throw new BadLink('it cannot be unpacked; perhaps it was cut or changed on its way');
  }
  if (!done) throw new BadLink('it ends too early; perhaps the end was cut off');
  const out = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** First look at a recording; the worker checks it in full before it runs. */
export function readRecording(text: string): Recording {
  let value: Partial<Recording>;
  try {
    value = JSON.parse(text) as Partial<Recording>;
  } catch {
    throw new BadLink('what it holds is not a recording (no JSON)');
  }
  if (value === null || typeof value !== 'object' || value.nestbox !== 1) throw new BadLink('what it holds is not a Nestbox recording of version 1');
  if (typeof value.scenario !== 'string' || typeof value.seed !== 'number' || !Array.isArray(value.inputs) || !(Number(value.until) >= 0)) {
    throw new BadLink('the recording lacks its scenario, seed, inputs or end');
  }
  for (const one of value.inputs as unknown[]) {
    if (one === null || typeof one !== 'object' || typeof (one as { t?: unknown }).t !== 'number' || typeof (one as { do?: unknown }).do !== 'string') {
      throw new BadLink('one of its inputs has no time or no action');
    }
  }
  return value as Recording;
}

/** The command lines somebody typed, as a person would list them. */
export function typedLines(recording: Recording): string[] {
  const lines = new Map<string, string>();
  const out: string[] = [];
  for (const input of recording.inputs) {
    if (input.do === 'type') {
      let line = lines.get(input.tty) ?? '';
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences of keys
      for (const c of String(input.data).replace(/\x1b(\[[0-9;?]*[ -/]*[@-~]|O.)/g, '')) {
        if (c === '\r' || c === '\n') {
          if (line.trim() !== '') out.push(line);
          line = '';
        } else if (c === '\x7f' || c === '\b') line = line.slice(0, -1);
        else if (c === '\x03' || c === '\x15') line = '';
        else if (c >= ' ') line += c;
      }
      lines.set(input.tty, line);
    } else if (input.do === 'file') out.push(`(file ${input.name})`);
    else if (input.do === 'vm') out.push(`(debugger: ${input.cmd} ${input.vm})`);
  }
  return out;
}
