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
  timeout: 180_000,
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
    const all = [...document.querySelectorAll(name === 'overview.html' ? '[popover]' : '.dialog[popover]')];
    const isOpen = (one) => one.matches(':popover-open');
    const asked = all.filter((one) => isOpen(one) || getComputedStyle(one).display === 'none');
    asked.filter((one) => !isOpen(one)).forEach((one) => one.showPopover());
    return asked.length;
  },
};

// What axe-core looks at. The document is the same on every screen: a narrow one has another layout, and the dark other colours.
const layout = ['target-size', 'scrollable-region-focusable', 'color-contrast', 'link-in-text-block'];
const only = (values) => ({ runOnly: { type: 'rule', values } });
const screens = [
  { scheme: 'light', width: 1280, height: 900, rules: { rules: { 'target-size': { enabled: true } } } },
  { scheme: 'light', width: 360, height: 740, rules: only(layout) },
  { scheme: 'dark', width: 1280, height: 900, rules: only(['color-contrast', 'link-in-text-block']) },
];

async function check(page, where, rules) {
  const { violations } = await page.evaluate((options) => globalThis.axe.run(options), rules);
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

try {
  if (shots) mkdirSync(shots, { recursive: true });
  const page = await browser.newPage();
  page.setDefaultTimeout(120_000);
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
    await page.evaluate(axe.source);
    for (const [state, open] of Object.entries(states)) {
      for (const { scheme, width, height, rules } of screens) {
        where = `${bare} ${width} ${scheme} ${state}`;
        await page.setViewport({ width, height });
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
        if (!(await page.evaluate(open, name))) continue;
        await check(page, where, rules);
        const file = join(shots ?? '', `${bare}-${width}-${scheme}${state === 'plain' ? '' : `-${state}`}.png`);
        if (shots) await page.screenshot({ path: file, fullPage: state !== 'asked' });
      }
    }
  }
} finally {
  await browser.close();
  server.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 10 });
}

for (const line of found) console.log(line);
console.log(`${names.length} pages, ${looked} looks, ${found.length} complaints`);
process.exit(found.length || !names.length ? 1 : 0);
