/** Style sheets are bundled into main.css by esbuild; the import has no value. */
declare module "*.css";
