// Opens every page of a gallery in Chromium, narrow and wide, light and dark, and prints what is wrong with it: what axe-core
// finds, what the browser complains about (the content security policy, missing files), and what is wider than the screen.
// `node look.mjs GALLERY [SHOTS [WORD]]`: with SHOTS, a folder, it also takes pictures; WORD narrows it to pages with that name.

import { readFileSync, readdirSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import axe from 'axe-core';
import puppeteer from 'puppeteer-core';

const [gallery, shots, word = ''] = process.argv.slice(2);
const lines = readFileSync(join(gallery, 'headers.txt'), 'utf8').trim().split('\n');
const security = Object.fromEntries(lines.map((line) => line.split(/: (.*)/).slice(0, 2)));
const types = { '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
const names = readdirSync(gallery).filter((name) => name.endsWith('.html') && name !== 'index.html' && name.includes(word)).sort();

const server = createServer((request, response) => {
  const path = new URL(request.url, 'http://localhost').pathname;
  try {
    const body = readFileSync(join(gallery, path.startsWith('/assets/') ? 'assets' : '', basename(path)));
    response.writeHead(200, { ...security, 'content-type': types[extname(path)] ?? 'text/plain' }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const base = `http://127.0.0.1:${server.address().port}`;

const profile = await mkdtemp(join(tmpdir(), 'plixo-look-'));
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  userDataDir: profile,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--no-first-run', '--hide-scrollbars'],
});

const found = [];
let looked = 0;

// What is hidden until it is asked for is looked at as well: what folds, the questions, and once the menu.
const states = {
  plain: () => 1,
  unfolded: () => {
    const folded = [...document.querySelectorAll('details')];
    folded.forEach((one) => { one.open = true; });
    return folded.length;
  },
  asked: (name) => {
    const hidden = [...document.querySelectorAll(name === 'overview.html' ? '[popover]' : '.dialog[popover]')];
    const shown = hidden.filter((one) => getComputedStyle(one).display === 'none');
    shown.forEach((one) => one.showPopover());
    return shown.length;
  },
};

// What axe-core looks at. The document is the same on every screen: a narrow one has another layout, and the dark other colours.
const layout = ['target-size', 'scrollable-region-focusable', 'color-contrast', 'link-in-text-block'];
const only = (values) => ({ runOnly: { type: 'rule', values } });
const rules = {
  'light 1280': { rules: { 'target-size': { enabled: true } } },
  'light 360': only(layout),
  'dark 1280': only(['color-contrast', 'link-in-text-block']),
};

async function check(page, where, screen) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate((options) => globalThis.axe.run(options), rules[screen]);
  for (const { id, help, nodes } of violations) found.push(`${where}: ${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`);
  const wide = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return null;
    const over = [...document.body.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > width + 0.5);
    return over.slice(-1).map((one) => one.outerHTML.slice(0, 160)).join('') || 'something';
  });
  if (wide) found.push(`${where}: wider than the screen: ${wide}`);
  looked += 1;
}

// All pages, one after the other, on a screen of that kind.
async function walk(scheme, width) {
  const page = await browser.newPage();
  await page.setViewport({ width, height: width === 360 ? 740 : 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
  let where = '';
  page.on('console', (message) => {
    // What is neither is advice. And a date field does not show what is no date: only the hostile gallery has such.
    const isWrong = ['error', 'warn'].includes(message.type()) && !message.text().includes('does not conform to the required format');
    if (isWrong) found.push(`${where}: the browser says: ${message.text()}`);
  });
  page.on('pageerror', (error) => found.push(`${where}: ${error.message}`));
  for (const name of names) {
    const bare = name.replace('.html', '');
    where = bare;
    await page.goto(`${base}/${name}`);
    for (const [state, open] of Object.entries(states)) {
      where = `${bare} ${width} ${scheme} ${state}`;
      if (!(await page.evaluate(open, name))) continue;
      await check(page, where, `${scheme} ${width}`);
      const file = join(shots ?? '', `${bare}-${width}-${scheme}${state === 'plain' ? '' : `-${state}`}.png`);
      if (shots) await page.screenshot({ path: file, fullPage: state !== 'asked' });
    }
  }
  await page.close();
}

try {
  if (shots) mkdirSync(shots, { recursive: true });
  const screens = [['light', 360], ['light', 1280], ['dark', 1280]];
  // A picture can be taken only of the tab in front.
  if (shots) for (const screen of screens) await walk(...screen);
  else await Promise.all(screens.map((screen) => walk(...screen)));
} finally {
  await browser.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
}

for (const line of found) console.log(line);
console.log(`${names.length} pages, ${looked} looks, ${found.length} complaints`);
process.exit(found.length || !names.length ? 1 : 0);
