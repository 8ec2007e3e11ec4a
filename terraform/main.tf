# One composition for staging and production. Read it from the top: keys, network, data, ways in, what runs, alarms.

module "keys" {
  source = "./modules/keys"

  name                = local.name
  landing_writer_arns = var.landing_writer_arns
}

module "network" {
  source = "./modules/network"

  name               = local.name
  cidr               = var.cidr
  zone_count         = local.zone_count
  nat                = var.nat
  logs_key_arn       = module.keys.arns.logs
  log_retention_days = local.log_retention_days
}

module "database" {
  source = "./modules/database"

  name               = local.name
  production         = local.production
  vpc_id             = module.network.vpc_id
  subnet_ids         = module.network.subnet_ids.data
  instance_class     = var.database_instance_class
  storage_gb         = var.database_storage_gb
  data_key_arn       = module.keys.arns.data
  secrets_key_arn    = module.keys.arns.secrets
  logs_key_arn       = module.keys.arns.logs
  log_retention_days = local.log_retention_days
}

module "storage" {
  source = "./modules/storage"

  name                = local.name
  production          = local.production
  data_key_arn        = module.keys.arns.data
  landing_writer_arns = var.landing_writer_arns
}

module "queue" {
  source = "./modules/queue"

  name                 = local.name
  longest_task_seconds = local.longest_task_seconds
}

module "secrets" {
  source    = "./modules/secrets"
  providers = { aws = aws, aws.passwords = aws.passwords }

  name             = local.name
  production       = local.production
  key_arn          = module.keys.arns.secrets
  database_address = module.database.address
  password_version = var.password_version
  write_values     = var.write_secrets
}

module "load_balancer" {
  source = "./modules/load_balancer"

  name            = local.name
  production      = local.production
  vpc_id          = module.network.vpc_id
  subnet_ids      = module.network.subnet_ids.public
  certificate_arn = var.certificate_arn
  domain          = var.domain
  zone_id         = var.zone_id
  log_bucket      = module.storage.buckets.logs
  logs_key_arn    = module.keys.arns.logs
  operator_cidrs  = var.operator_cidrs
  operator_login  = var.operator_login
  services        = local.behind_load_balancer
}

module "page" {
  source    = "./modules/page"
  providers = { aws = aws, aws.global = aws.global }

  name            = local.name
  domain          = var.domain
  zone_id         = var.zone_id
  certificate_arn = var.page_certificate_arn
  origin          = module.load_balancer.origin
  countries       = var.page_countries
}

module "compute" {
  source = "./modules/compute"

  name               = local.name
  production         = local.production
  domain             = var.domain
  keys               = module.keys.arns
  log_retention_days = local.log_retention_days
  images             = { registry = var.image_registry, tag = var.image_tag }
  buckets            = module.storage.buckets
  secret_arns        = module.secrets.arns
  connections_prefix = module.secrets.connections_prefix
  target_group_arns  = module.load_balancer.target_group_arns
  worker_count       = var.worker_count
  alarm_email        = var.alarm_emails[0]
  runbook_url        = var.runbook_url
  api_count          = var.api_count

  network = {
    vpc_id              = module.network.vpc_id
    subnet_ids          = module.network.subnet_ids.private
    endpoints_group_id  = module.network.endpoints_security_group_id
    s3_prefix_list_id   = module.network.s3_prefix_list_id
    database_group_id   = module.database.security_group_id
    load_balancer_group = module.load_balancer.security_group_id
    internet            = var.nat != "none"
  }
  database = {
    address           = module.database.address
    master_secret_arn = module.database.master_secret_arn
  }
  queue = {
    url                  = module.queue.url
    arn                  = module.queue.arn
    name                 = module.queue.name
    longest_task_seconds = local.longest_task_seconds
  }
}

module "alarms" {
  source = "./modules/alarms"

  name          = local.name
  emails        = var.alarm_emails
  logs_key_arn  = module.keys.arns.logs
  database      = { identifier = module.database.identifier, storage_gb = var.database_storage_gb }
  load_balancer = module.load_balancer.metric_names
  queue         = { tasks = module.queue.name, refused = module.queue.refused_name }
  cluster_name  = module.compute.cluster_name
  services      = { for name, service in module.compute.services : name => service.count }
}
