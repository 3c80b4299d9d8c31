/**
 * The picture as a file: what is seen in the frame, with the page's own styles and fonts inside, as SVG (HTML in a foreignObject,
 * which browsers draw) or as PNG drawn from it. What scrolled out of sight is in it too; canvases become images.
 */
import { saveAs } from '../parts/parts.tsx';

const SCALE = 2;

export async function savePicture(kind: 'svg' | 'png'): Promise<void> {
  const section = document.querySelector<HTMLElement>('#picture > section');
  if (!section) throw new Error('there is no picture to save');
  const name = (section.getAttribute('aria-label') ?? 'picture').toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const width = section.scrollWidth;
  const height = Math.max(section.scrollHeight, 80);
  const svg = await svgOf(section, width, height);
  if (kind === 'svg') saveAs(`${name}.svg`, svg, 'image/svg+xml');
  else await savePng(`${name}.png`, svg, width, height);
}

async function svgOf(section: HTMLElement, width: number, height: number): Promise<string> {
  const theme = document.documentElement.dataset.theme ?? 'light';
  const style = getComputedStyle(section);
  const copy = still(section);
  copy.style.cssText = `width:${width}px;height:${height}px;overflow:visible`;
  const page = document.createElement('div');
  page.dataset.theme = theme;
  Object.assign(page.style, { width: `${width}px`, minHeight: `${height}px`, background: getComputedStyle(document.getElementById('picture')!).backgroundColor, color: style.color, font: style.font });
  page.append(copy);
  const sheet = (await rules()).replaceAll(']]>', ']] >');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML has no way to write them
  const body = new XMLSerializer().serializeToString(page).replace(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, '');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><style><![CDATA[${sheet}]]></style><foreignObject width="${width}" height="${height}">${body}</foreignObject></svg>`;
}

/** A copy that stands by itself: choices as text, canvases as images, nothing that could be focused. */
function still(section: HTMLElement): HTMLElement {
  const copy = section.cloneNode(true) as HTMLElement;
  const canvases = section.querySelectorAll('canvas');
  for (const [i, canvas] of [...copy.querySelectorAll('canvas')].entries()) {
    const image = document.createElement('img');
    image.src = canvases[i]!.toDataURL();
    image.style.cssText = `${canvas.style.cssText};width:${canvases[i]!.clientWidth}px;height:${canvases[i]!.clientHeight}px`;
    image.className = canvas.className;
    canvas.replaceWith(image);
  }
  const selects = section.querySelectorAll('select');
  for (const [i, select] of [...copy.querySelectorAll('select')].entries()) {
    const text = document.createElement('b');
    text.textContent = selects[i]!.selectedOptions[0]?.textContent ?? '';
    select.replaceWith(text);
  }
  for (const one of [copy, ...copy.querySelectorAll('[tabindex]')]) one.removeAttribute('tabindex');
  return copy;
}

/**
 * All rules of the page, with its fonts inside, as they were written: what the object model gives back of a shorthand with
 * variables is not whole. Questions to the screen are answered as they are answered here.
 */
async function rules(): Promise<string> {
  const text: string[] = [];
  for (const sheet of document.styleSheets) {
    const base = sheet.href ?? location.href;
    const source = sheet.href ? await (await fetch(sheet.href)).text() : (sheet.ownerNode?.textContent ?? '');
    text.push(await withFonts(source.replace(/@media\s*([^{]+)\{/g, (_, asked: string) => (matchMedia(asked.trim()).matches ? '@media all{' : '@media not all{')), base));
  }
  return `${text.join('\n')}\n*,*::before,*::after{animation:none !important;transition:none !important}`;
}

async function withFonts(source: string, base: string): Promise<string> {
  let out = source;
  for (const [whole, url] of source.matchAll(/url\("?([^")]+\.woff2)"?\)/g)) {
    const blob = await (await fetch(new URL(url!, base))).blob();
    out = out.replace(whole, `url("${await dataUrl(blob)}")`);
  }
  return out;
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error('a font could not be read'));
    reader.readAsDataURL(blob);
  });
}

async function savePng(name: string, svg: string, width: number, height: number): Promise<void> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  // Browsers draw no canvas beyond 16,384 px a side.
  const scale = Math.min(SCALE, 16_000 / Math.max(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) throw new Error('this browser cannot draw the picture; save it as SVG');
  saveAs(name, blob, 'image/png');
}
