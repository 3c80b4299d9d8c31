/** A cluster out of the lab and into it, as `lab export` and `lab import` do it, with files of the person's own machine at the other end. */
import { strToU8, zipSync } from 'fflate';
import type { ExportRow } from '../../bridge/rows.ts';
import { call } from '../bridge/client.ts';
import { count } from '../format.ts';
import { saveAs } from '../parts/parts.tsx';
import { get, toast } from '../store.ts';
import { putFile, run, said } from './session.ts';

export async function exportManifests(): Promise<void> {
  try {
    const files = (await call('rows', { view: 'cluster-export' })) as unknown as ExportRow[];
    if (files.length === 0) return toast('This scenario has no cluster to export', true);
    const name = `${get().scenario.replace(/[^a-z0-9-]/gi, '-').slice(0, 30)}-manifests`;
    const zip = zipSync(Object.fromEntries(files.map((file) => [`${name}/${file.name}`, strToU8(file.text)])));
    saveAs(`${name}.zip`, new Blob([zip as Uint8Array<ArrayBuffer>]), 'application/zip');
    toast(`${name}.zip: ${files.map((file) => file.name).join(', ')}, ${count(Math.ceil(zip.length / 1024))} KiB. In the terminal, lab export writes the same files.`);
  } catch (error) {
    toast(said(error), true);
  }
}

/** `kubectl get nodes,pods,deploy,… -A -o json` (or YAML) of a real cluster, taken in by `lab import`. */
export function importDump(): void {
  const input = document.createElement('input');
  input.type = 'file';
  input.accept = '.json,.yaml,.yml,application/json,application/yaml';
  input.onchange = async () => {
    const file = input.files?.[0];
    const name = file && (await putFile(file, false));
    if (name) void run(`lab import /root/uploads/${name}`);
  };
  input.click();
}
